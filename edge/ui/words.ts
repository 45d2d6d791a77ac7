/** How times, sizes and numbers read. */

/** Four digits, with a sign that lines up. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return '–';
  }
  if (!Number.isFinite(value)) {
    return String(value);
  }
  const size = Math.abs(value);
  const text =
    Number.isInteger(value) && size < 1e9
      ? value.toLocaleString('en')
      : size !== 0 && (size < 1e-3 || size >= 1e6)
        ? value.toExponential(2)
        : String(Number(value.toPrecision(4)));
  return text.replace('-', '−');
}

export const share = (value: number): string => `${figure(100 * value)} %`;

export function bytes(count: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  return `${figure(Number((count / 1000 ** power).toPrecision(3)))} ${units[power]}`;
}

export function duration(seconds: number): string {
  if (seconds < 60) {
    return `${figure(Number(seconds.toFixed(seconds < 10 ? 1 : 0)))} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A time of this day as a clock, another with its date. */
export function when(at: string | null): string {
  if (at === null) {
    return '–';
  }
  const date = new Date(at);
  const clock = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date().toDateString() ? clock : `${date.toISOString().slice(0, 10)} ${clock}`;
}

/** Long ids shortened in the middle; titles hold them whole. */
export const short = (id: string): string => (id.length > 18 ? `${id.slice(0, 10)}…${id.slice(-4)}` : id);

/** Seconds from a beginning as a clock. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
