/** The account of a text while it is read: what was used, and what was left out for which reason. */
import { type LeftOut, leftOutSchema, type TextAccount } from '../../../shared/contracts/text-use.ts';

const OUTCOMES = ['used', ...leftOutSchema.options] as const;
type Outcome = (typeof OUTCOMES)[number];
type Counts = Record<Outcome, number>;

export class TextTally {
  readonly #documents: Counts = counts();
  readonly #tokens: Counts = counts();
  /** Whether a token of the document that is read at present was used. */
  #used = false;

  /** @param numbers of another tally that is gone on with */
  constructor(numbers: Readonly<Record<string, number>> = {}) {
    for (const outcome of OUTCOMES) {
      this.#documents[outcome] = numbers[`documents.${outcome}`] ?? 0;
      this.#tokens[outcome] = numbers[`tokens.${outcome}`] ?? 0;
    }
    this.#used = numbers.used === 1;
  }

  /** Tokens used here, or by another part of the work. */
  get tokensTaken(): number {
    return this.#tokens.used + this.#tokens.part;
  }

  /** A token of the present document. */
  token(reason: LeftOut | null): void {
    this.#tokens[reason ?? 'used']++;
    if (reason === null && !this.#used) {
      this.#used = true;
      this.#documents.used++;
    }
  }

  /** The present document has ended; `reason` is why the last of its tokens was not used. */
  end(reason: LeftOut): void {
    if (!this.#used) {
      this.#documents[reason]++;
    }
    this.#used = false;
  }

  /** A whole document of `tokens` tokens. */
  leaveOut(reason: LeftOut, tokens: number): void {
    this.#tokens[reason] += tokens;
    this.end(reason);
  }

  /** What another tally goes on from. */
  get numbers(): Record<string, number> {
    const of = (name: string, counts: Counts) =>
      Object.entries(counts).flatMap(([outcome, count]) => (count > 0 ? [[`${name}.${outcome}`, count] as const] : []));
    return {
      ...Object.fromEntries([...of('documents', this.#documents), ...of('tokens', this.#tokens)]),
      ...(this.#used && { used: 1 }),
    };
  }

  account(): Pick<TextAccount, 'documents' | 'tokens'> {
    return { documents: stated(this.#documents), tokens: stated(this.#tokens) };
  }
}

const counts = (): Counts => ({
  used: 0,
  split: 0,
  empty: 0,
  special: 0,
  first: 0,
  limit: 0,
  part: 0,
  tail: 0,
  prompt: 0,
});

function stated({ used, ...rest }: Counts): { sent: number; used: number; left_out: Partial<Record<LeftOut, number>> } {
  const left = Object.entries(rest).filter(([, count]) => count > 0);
  const sent = left.reduce((sum, [, count]) => sum + count, used);
  return { sent, used, left_out: Object.fromEntries(left) };
}
