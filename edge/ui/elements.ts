/** Elements with their attributes and children. Whatever is a string becomes text, never markup. */

export type Child = Node | string | number | null | undefined | false;
type Handler = (event: Event) => void;
type Attributes = Readonly<Record<string, string | number | boolean | Handler | null | undefined>>;

const SVG = 'http://www.w3.org/2000/svg';

function furnish<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      element.addEventListener(name, value);
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...visible(children));
  return element;
}

const visible = (children: readonly Child[]): (Node | string)[] =>
  children.flatMap((child) =>
    child === null || child === undefined || child === false ? [] : [typeof child === 'number' ? String(child) : child],
  );

/** An attribute that is a function listens for the event of its name. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] => furnish(document.createElement(tag), attributes, children);

/** The same for drawings. */
export const s = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] =>
  furnish(document.createElementNS(SVG, tag) as SVGElementTagNameMap[K], attributes, children);

/** Puts other children into an element. */
export const fill = (element: Element, ...children: Child[]): void => element.replaceChildren(...visible(children));
