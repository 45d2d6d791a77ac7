/**
 * The few globals that every JavaScript runtime shares and `shared/` may use. `shared/` is compiled with the ECMAScript
 * library alone, so a fetch, a clock or an environment variable does not type-check here.
 */
declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: ArrayBufferView | ArrayBuffer): string;
}
declare function atob(text: string): string;
declare function btoa(text: string): string;
declare const crypto: {
  subtle: { digest(algorithm: 'SHA-256', data: ArrayBufferView | ArrayBuffer): Promise<ArrayBuffer> };
  getRandomValues<T extends ArrayBufferView>(array: T): T;
};
