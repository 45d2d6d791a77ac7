/** Where the key is entered. */
import { h } from './elements.ts';

/** @param reason why a key is asked for again; null at first */
export function keyForm(enter: (key: string) => void, reason: string | null): HTMLElement {
  const input = h('input', {
    id: 'key',
    type: 'password',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    required: true,
    'aria-describedby': 'key-note key-problem',
  });
  const problem = h('p', { id: 'key-problem', class: 'problem', role: 'alert' }, reason);
  const submit = (event: Event): void => {
    event.preventDefault();
    const key = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
      problem.textContent = 'A key is one word of printable characters. Copy it again, without blanks.';
      return;
    }
    input.value = '';
    enter(key);
  };
  return h(
    'form',
    { class: 'key', submit },
    h('h1', { tabindex: -1 }, 'Look at your jobs and results'),
    h('label', { for: 'key' }, 'API key'),
    h('div', { class: 'row' }, input, h('button', { type: 'submit' }, 'Open')),
    problem,
    h(
      'p',
      { id: 'key-note', class: 'quiet' },
      'The key stays in the memory of this page: it is not stored, and reloading forgets it. A key that only reads is enough to look.',
    ),
    h('p', {}, 'No key yet? ', h('a', { href: '/docs/' }, 'The guide'), ' says how to get one.'),
  );
}
