/** Images with labels as samples: idx files (gzip or plain), or a safetensors file with a tensor of images and one of labels. */
import { gunzipSync } from 'node:zlib';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readIdx } from '../../../shared/formats/idx.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import type { ImageSize } from '../networks/network.ts';
import type { Samples } from './samples.ts';

export type ImageSet = { samples: Samples; image: ImageSize; classes: number };

const invalid = (why: string): SextantError => new SextantError('data_invalid', why);

/** Largest size of a decompressed file. */
const LIMIT = 2 ** 30;
/** A byte of an image is read, becomes a float, and is copied into its part of the split. */
const BYTES_PER_PIXEL = 9;

/** @throws SextantError `memory_exceeded` where so many pixels need more than `limit` bytes */
function requireMemory(pixels: number, limit: number): void {
  const needed = BYTES_PER_PIXEL * pixels;
  if (needed > limit) {
    const detail = `${pixels} pixels take about ${needed} bytes once they are read and split; this worker may use ${limit}`;
    throw new SextantError('memory_exceeded', detail);
  }
}

/** The bytes of a file, decompressed where it is gzip. @throws SextantError `data_invalid` for a damaged one */
function decompressed(file: Uint8Array, name: string): Uint8Array {
  if (file[0] !== 0x1f || file[1] !== 0x8b) {
    return file;
  }
  try {
    return gunzipSync(file, { maxOutputLength: LIMIT });
  } catch (error) {
    throw invalid(`${name}: the gzip data cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

/**
 * Images [n, height, width] or [n, height, width, channels] of bytes, scaled to 0..1, and labels [n].
 * @param limit bytes of memory that they may take
 * @throws SextantError `data_invalid`, `memory_exceeded`
 */
export function idxImages(images: Uint8Array, labels: Uint8Array, limit: number): ImageSet {
  const [pixels, classes] = [
    readIdx(decompressed(images, 'images'), 'images'),
    readIdx(decompressed(labels, 'labels'), 'labels'),
  ];
  const [rows, height, width, channels = 1] = pixels.shape;
  if (rows === undefined || height === undefined || width === undefined) {
    throw invalid(`images: an idx file of 3 or 4 axes is needed, this one has ${pixels.shape.length}`);
  }
  if (classes.shape.length !== 1) {
    throw invalid(`labels: an idx file of one axis is needed, this one has ${classes.shape.length}`);
  }
  requireMemory(pixels.values.length, limit);
  const x = Float32Array.from(pixels.values, (byte) => byte / 255);
  return imageSet({ x, rows, image: { height, width, channels } }, classes.values);
}

/**
 * Tensors `images` ([n, height, width] or with channels last, floats or bytes) and `labels` [n] of a safetensors file.
 * @param limit bytes of memory that they may take
 * @throws SextantError `data_invalid`, `memory_exceeded`
 */
export function tensorImages(file: Uint8Array, limit: number): ImageSet {
  const stored = readSafetensors(file);
  const entry = stored.header.tensors.get('images');
  if (!entry || !stored.header.tensors.has('labels')) {
    const names = [...stored.header.tensors.keys()].slice(0, 10).join(', ');
    throw invalid(`the safetensors file needs the tensors 'images' and 'labels'; it has ${names || 'none'}`);
  }
  const [rows, height, width, channels = 1] = entry.shape;
  if (rows === undefined || height === undefined || width === undefined || entry.shape.length > 4) {
    throw invalid(
      `'images' must be [n, height, width] or [n, height, width, channels], it is [${entry.shape.join(', ')}]`,
    );
  }
  requireMemory(
    entry.shape.reduce((product, size) => product * size, 1),
    limit,
  );
  const scale = entry.dtype === 'U8' ? 255 : 1;
  const x = stored.float32('images').map((value) => value / scale);
  return imageSet({ x, rows, image: { height, width, channels } }, stored.float32('labels'));
}

function imageSet(
  { x, rows, image }: { x: Float32Array; rows: number; image: ImageSize },
  labels: ArrayLike<number>,
): ImageSet {
  if (labels.length !== rows) {
    throw invalid(`there are ${rows} images and ${labels.length} labels`);
  }
  const bad = x.findIndex((value) => !Number.isFinite(value));
  const size = image.height * image.width * image.channels;
  if (bad >= 0) {
    throw invalid(
      `image ${Math.floor(bad / size)} has the pixel ${x[bad]} at position ${bad % size}; finite numbers are needed`,
    );
  }
  const y = Float32Array.from(labels);
  return { samples: { rows, width: size, x, y }, image, classes: requireClasses(y) };
}

/**
 * Number of classes of labels 0 .. n-1.
 * @throws SextantError `data_invalid` for labels that are no such numbers, or all the same
 */
export function requireClasses(labels: Float32Array): number {
  const bad = labels.findIndex((label) => !Number.isInteger(label) || label < 0 || label > 9999);
  if (bad >= 0) {
    throw invalid(`label ${bad} is ${labels[bad]}; labels are whole numbers from 0 to 9999`);
  }
  const seen = new Set(labels);
  if (seen.size < 2) {
    throw invalid(`all ${labels.length} labels are ${[...seen].join()}; at least two classes are needed`);
  }
  return labels.reduce((most, label) => Math.max(most, label), 0) + 1;
}
