/** Drawings of a recording: one lead over a window, and all of its flagged seconds. */

const HEIGHT = { strip: 96, overview: 22 };

/** A colour of the style sheet, which follows light and dark, as a canvas takes it. */
function colour(canvas: HTMLCanvasElement, name: string): string {
  canvas.style.color = `var(${name})`;
  return getComputedStyle(canvas).color;
}

/** The drawing surface in CSS pixels, cleared. */
function surface(canvas: HTMLCanvasElement, height: number): { context: CanvasRenderingContext2D; width: number } {
  const [width, ratio] = [canvas.clientWidth || 600, devicePixelRatio || 1];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  return { context, width };
}

export function drawStrip(
  canvas: HTMLCanvasElement,
  samples: Float64Array,
  { from, to, flags }: { from: number; to: number; flags: readonly string[][] },
): void {
  const height = HEIGHT.strip;
  const { context, width } = surface(canvas, height);
  const across = (second: number) => ((second - from) / (to - from)) * width;
  context.strokeStyle = colour(canvas, '--line');
  for (let second = Math.ceil(from); second <= to; second++) {
    if ((flags[second]?.length ?? 0) > 0) {
      context.fillStyle = colour(canvas, '--flag');
      context.fillRect(across(second), 0, across(second + 1) - across(second), height);
    }
    context.beginPath();
    context.moveTo(across(second), 0);
    context.lineTo(across(second), height);
    context.stroke();
  }
  const known = samples.filter((value) => !Number.isNaN(value));
  const low = known.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = known.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const scale = (height - 8) / (high - low || 1);
  context.strokeStyle = colour(canvas, '--ink');
  context.lineWidth = 1.2;
  context.beginPath();
  let open = false;
  samples.forEach((value, i) => {
    if (Number.isNaN(value)) {
      open = false;
      return;
    }
    const [x, y] = [(i / samples.length) * width, height - 4 - (value - low) * scale];
    if (open) {
      context.lineTo(x, y);
    } else {
      context.moveTo(x, y);
    }
    open = true;
  });
  context.stroke();
}

export function drawOverview(canvas: HTMLCanvasElement, flagged: readonly string[][], from: number, to: number): void {
  const { context, width } = surface(canvas, HEIGHT.overview);
  const across = (second: number) => (second / Math.max(1, flagged.length)) * width;
  context.fillStyle = colour(canvas, '--bad');
  flagged.forEach((flags, second) => {
    if (flags.length > 0) {
      context.fillRect(across(second), 8, Math.max(1, across(1)), HEIGHT.overview - 8);
    }
  });
  context.fillStyle = colour(canvas, '--link');
  context.fillRect(across(from), 0, Math.max(3, across(to) - across(from)), 5);
}
