/** A list of any length of which only what is seen exists: one tab stop, arrows move, Enter opens. */
import { type Child, fill, h } from './elements.ts';

const ROW = 32;
const BEYOND = 6;

type Options = {
  label: string;
  count: number;
  /** What a row shows; null while it is not known. */
  row: (index: number) => Child[] | null;
  /** Told of the rows that are seen, whenever they change. */
  seen: (from: number, to: number) => void;
  open: (index: number) => void;
};

export class VirtualList {
  readonly element: HTMLDivElement;
  readonly #options: Options;
  readonly #rows = h('div', { role: 'presentation' });
  #active = 0;

  constructor(options: Options) {
    this.#options = options;
    this.element = h('div', {
      class: 'virtual',
      role: 'listbox',
      tabindex: 0,
      'aria-label': options.label,
      scroll: () => this.draw(),
      keydown: (event) => this.#press(event as KeyboardEvent),
      click: (event) => this.#click(event),
    });
    this.#rows.style.height = `${options.count * ROW}px`;
    this.element.append(this.#rows);
    // heights are known once the list stands on the page
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Draws the rows that are seen; again after more is known of them. */
  draw(): void {
    const { count, row, seen } = this.#options;
    const height = this.element.clientHeight || 400;
    const from = Math.max(0, Math.floor(this.element.scrollTop / ROW) - BEYOND);
    const to = Math.min(count, Math.ceil((this.element.scrollTop + height) / ROW) + BEYOND);
    seen(from, to);
    const options = Array.from({ length: to - from }, (_, i) => {
      const index = from + i;
      const option = h(
        'div',
        {
          role: 'option',
          id: `row-${index}`,
          class: index === this.#active ? 'option active' : 'option',
          'aria-selected': String(index === this.#active),
          'aria-setsize': count,
          'aria-posinset': index + 1,
        },
        ...(row(index) ?? ['…']),
      );
      option.style.top = `${index * ROW}px`;
      return option;
    });
    fill(this.#rows, ...options);
    if (this.#active >= from && this.#active < to) {
      this.element.setAttribute('aria-activedescendant', `row-${this.#active}`);
    } else {
      this.element.removeAttribute('aria-activedescendant');
    }
  }

  /** Makes a row the active one and brings it into sight. */
  go(index: number): void {
    this.#active = Math.max(0, Math.min(this.#options.count - 1, index));
    const [top, height] = [this.#active * ROW, this.element.clientHeight];
    if (top < this.element.scrollTop) {
      this.element.scrollTop = top;
    } else if (top + ROW > this.element.scrollTop + height) {
      this.element.scrollTop = top + ROW - height;
    }
    this.draw();
  }

  #press(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      End: this.#options.count,
      Home: -this.#options.count,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.go(this.#active + step);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.#options.open(this.#active);
    }
  }

  #click(event: Event): void {
    const option = (event.target as Element).closest('[role=option]');
    if (option) {
      this.go(Number(option.id.slice('row-'.length)));
      this.#options.open(this.#active);
    }
  }
}
