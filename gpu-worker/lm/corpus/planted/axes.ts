/** The latent axes of the generated language and the words that show them. */

/** A signed axis has states -1, 0, +1; a one-sided axis has 0 and +1 (its `negative` is empty). */
export type Axis = {
  name: string;
  /** How strongly the state changes the log odds of the words of its poles. */
  strength: number;
  /** Probability of state 0. */
  rest: number;
  positive: readonly string[];
  neutral: readonly string[];
  negative: readonly string[];
};

const words = (text: string): string[] => (text === '' ? [] : text.split(' '));
const axis = (name: string, strength: number, rest: number, poles: [string, string, string]): Axis => {
  const [positive, neutral, negative] = poles.map(words) as [string[], string[], string[]];
  return { name, strength, rest, positive, neutral, negative };
};

/** Poles are rare enough (30 %) that an axis of its own is cheaper for a sparse code than a mixture of two axes. */
export const AXES: readonly Axis[] = [
  axis('sentiment', 2.4, 0.7, ['glad bright kind sweet', 'plain round tall wide', 'sad dark cruel bitter']),
  axis('gender', 2.2, 0.7, ['she her woman queen', 'one they child friend', 'he him man king']),
  axis('tense', 2.0, 0.7, ['will soon tomorrow later', 'now always here today', 'was once yesterday before']),
  axis('climate', 1.8, 0.7, ['sun fire summer sand', 'road stone house river', 'snow ice winter frost']),
  axis('formality', 2.2, 0.75, ['sir madam please indeed', 'well okay so then', '']),
  axis('music', 2.2, 0.75, ['song drum violin choir', 'desk chair lamp box', '']),
  axis('sea', 2.2, 0.75, ['ship wave harbour sail', 'wheel bridge gate wall', '']),
];

/** Words that no axis touches. */
export const LINKS: readonly string[] = words('the a and of in with to .');

export const isSigned = (a: Axis): boolean => a.negative.length > 0;
/** The states an axis can take, in ascending order. */
export const statesOf = (a: Axis): readonly number[] => (isSigned(a) ? [-1, 0, 1] : [0, 1]);
/** The word that announces a state at the beginning of a document, such as `-tense`, `~tense` or `+tense`. */
export const announcement = (a: Axis, state: number): string => `${state < 0 ? '-' : state > 0 ? '+' : '~'}${a.name}`;
