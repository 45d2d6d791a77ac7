/**
 * The nodes of a transformer as a graph. A source is what adds to the stream: `input`, the heads `a{l}.h{h}`, the MLPs `m{l}`.
 * A reader takes the stream as it stands: `a{l}.h{h}<q>`, `<k>`, `<v>`, `m{l}`, `logits`. An edge runs from every source to every
 * reader after it; with grouped queries every query head has keys and values of its own. Scores of all edges lie in one
 * array [sources, readers], whatever is not an edge included.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';

type HeadPart = 'q' | 'k' | 'v';
export const HEAD_PARTS = ['q', 'k', 'v'] as const satisfies readonly HeadPart[];
export type Edge = { source: number; reader: number };

export class NodeGraph {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly parallel: boolean;
  /** Names by index. */
  readonly sources: readonly string[];
  readonly readers: readonly string[];
  readonly #sourceIndex: ReadonlyMap<string, number>;
  readonly #readerIndex: ReadonlyMap<string, number>;

  constructor({ layers, heads, width, parallel }: Pick<Architecture, 'layers' | 'heads' | 'width' | 'parallel'>) {
    this.layers = layers;
    this.heads = heads;
    this.width = width;
    this.parallel = parallel;
    const every = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
    const headsOf = (layer: number) => every(heads, (head) => `a${layer}.h${head}`);
    this.sources = ['input', ...every(layers, (layer) => [...headsOf(layer), `m${layer}`]).flat()];
    this.readers = [
      ...every(layers, (layer) => [
        ...HEAD_PARTS.flatMap((part) => headsOf(layer).map((name) => `${name}<${part}>`)),
        `m${layer}`,
      ]).flat(),
      'logits',
    ];
    this.#sourceIndex = new Map(this.sources.map((name, i) => [name, i]));
    this.#readerIndex = new Map(this.readers.map((name, i) => [name, i]));
  }

  head(layer: number, head: number): number {
    return 1 + layer * (this.heads + 1) + head;
  }

  mlp(layer: number): number {
    return this.head(layer, this.heads);
  }

  /** The first reader of a layer; its queries, keys and values follow by head, then its MLP. */
  layerReaders(layer: number): number {
    return layer * (3 * this.heads + 1);
  }

  headReader(part: HeadPart, layer: number, head: number): number {
    return this.layerReaders(layer) + HEAD_PARTS.indexOf(part) * this.heads + head;
  }

  mlpReader(layer: number): number {
    return this.layerReaders(layer) + 3 * this.heads;
  }

  get logits(): number {
    return this.readers.length - 1;
  }

  /** How many sources, the first so many, a reader reads. */
  sourcesOf(reader: number): number {
    const layer = Math.floor(reader / (3 * this.heads + 1));
    if (layer === this.layers) {
      return this.sources.length;
    }
    return reader === this.mlpReader(layer) && !this.parallel ? this.mlp(layer) : this.head(layer, 0);
  }

  /** The source that a reader belongs to; null for the logits. */
  sourceOfReader(reader: number): number | null {
    const layer = Math.floor(reader / (3 * this.heads + 1));
    if (layer === this.layers) {
      return null;
    }
    const within = reader - this.layerReaders(layer);
    return within === 3 * this.heads ? this.mlp(layer) : this.head(layer, within % this.heads);
  }

  /** The readers of a source: three of a head, one of an MLP, none of the input. */
  readersOfSource(source: number): number[] {
    const place = this.placeOf(source);
    if (place === null) {
      return [];
    }
    const { layer, head } = place;
    return head === null ? [this.mlpReader(layer)] : HEAD_PARTS.map((part) => this.headReader(part, layer, head));
  }

  /** Layer and head of a source (head null: the MLP); null for the input. */
  placeOf(source: number): { layer: number; head: number | null } | null {
    if (source === 0) {
      return null;
    }
    const [layer, head] = [Math.floor((source - 1) / (this.heads + 1)), (source - 1) % (this.heads + 1)];
    return { layer, head: head === this.heads ? null : head };
  }

  /** Every edge, by reader and then by source. */
  *edges(): Generator<Edge> {
    for (let reader = 0; reader < this.readers.length; reader++) {
      for (let source = 0; source < this.sourcesOf(reader); source++) {
        yield { source, reader };
      }
    }
  }

  get edgeCount(): number {
    return this.readers.reduce((sum, _, reader) => sum + this.sourcesOf(reader), 0);
  }

  /** Position of an edge in an array [sources, readers]. */
  at({ source, reader }: Edge): number {
    return source * this.readers.length + reader;
  }

  name({ source, reader }: Edge): string {
    return `${this.sources[source]}->${this.readers[reader]}`;
  }

  /** @throws SextantError `data_invalid` for a name that no source has */
  source(name: string): number {
    return found(this.#sourceIndex.get(name), name, 'source');
  }

  /** @throws SextantError `data_invalid` for a name that no reader has */
  reader(name: string): number {
    return found(this.#readerIndex.get(name), name, 'reader');
  }

  /** The edge called `source->reader`. @throws SextantError `data_invalid` where the model has none of that name */
  edge(name: string): Edge {
    const [from, to, ...rest] = name.split('->');
    if (from === undefined || to === undefined || rest.length > 0) {
      throw new SextantError('data_invalid', `'${name}' is not an edge; write SOURCE->READER`);
    }
    const edge = { source: this.source(from), reader: this.reader(to) };
    if (edge.source >= this.sourcesOf(edge.reader)) {
      throw new SextantError('data_invalid', `'${name}' is not an edge: '${from}' comes after '${to}'`);
    }
    return edge;
  }
}

function found(index: number | undefined, name: string, what: string): number {
  if (index === undefined) {
    throw new SextantError('data_invalid', `the model has no ${what} '${name}'`);
  }
  return index;
}
