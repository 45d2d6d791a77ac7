/** Measures of the published tables, one value per beat. */

export type BeatMeasures = { ssd: number[]; mad: number[]; prdPublished: number[]; prd: number[]; cosine: number[] };

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
};

/**
 * Sum of squared differences, largest difference, root-mean-square difference in percent and cosine. The tables divide
 * the third by the prediction without the mean of all clean beats; usually it is the clean beat without its own mean.
 */
export function beatMeasures(clean: readonly Float64Array[], output: readonly ArrayLike<number>[]): BeatMeasures {
  const level = sum(clean.map((beat) => sum(beat))) / sum(clean.map(({ length }) => length));
  const found: BeatMeasures = { ssd: [], mad: [], prdPublished: [], prd: [], cosine: [] };
  for (const [b, beat] of clean.entries()) {
    const given = output[b]!;
    const own = sum(beat) / beat.length;
    let [ssd, mad, predicted, centred, product, ours, theirs] = [0, 0, 0, 0, 0, 0, 0];
    for (const [i, value] of beat.entries()) {
      const out = given[i]!;
      ssd += (value - out) ** 2;
      mad = Math.max(mad, Math.abs(value - out));
      predicted += (out - level) ** 2;
      centred += (value - own) ** 2;
      product += value * out;
      ours += value ** 2;
      theirs += out ** 2;
    }
    found.ssd.push(ssd);
    found.mad.push(mad);
    found.prdPublished.push(100 * Math.sqrt(ssd / predicted));
    found.prd.push(100 * Math.sqrt(ssd / centred));
    // Nothing points nowhere: the tables' library calls its cosine 0.
    found.cosine.push(theirs === 0 ? 0 : product / Math.sqrt(ours * theirs));
  }
  return found;
}
