/**
 * Text of tokens that stand for single bytes (SentencePiece), as the publishers' library has it: a run of them that is not
 * UTF-8 becomes one replacement character a byte, and a byte order mark is a character like others.
 */

/** What a step of the library's decoder is seen as here. */
type DecoderStep = {
  config: { type: string };
  decoders?: readonly DecoderStep[];
  decode_chain(tokens: readonly string[]): string[];
};

const BYTE = /^<0x([0-9a-fA-F]{2})>$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Tokens with those of bytes, a run at a time, as text. */
function withByteRuns(tokens: readonly string[]): string[] {
  const texts: string[] = [];
  let run: number[] = [];
  const end = (): void => {
    if (run.length > 0) {
      texts.push(textOf(run));
      run = [];
    }
  };
  for (const token of tokens) {
    const [, digits] = BYTE.exec(token) ?? [];
    if (digits === undefined) {
      end();
      texts.push(token);
    } else {
      run.push(Number.parseInt(digits, 16));
    }
  }
  end();
  return texts;
}

function textOf(bytes: readonly number[]): string {
  try {
    return utf8.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}

/** Replaces the library's own step for bytes, wherever a decoder has it. */
export function decodeByteRuns(decoder: DecoderStep | null): void {
  if (decoder?.config.type === 'ByteFallback') {
    decoder.decode_chain = withByteRuns;
  }
  decoder?.decoders?.forEach(decodeByteRuns);
}
