"use strict";

/* What a margin would cost: negatives per query, hardness and short queries, from the stored candidates.

The negatives are the best survivors, as the policy "top" selects them. Scores are compared at float32 precision. */

class Margins {
  constructor(data) {
    this.data = data;
    this.n = data.query.length;
    const { candidateScore } = data;
    this.sums = new Float64Array(candidateScore.length + 1);
    for (let i = 0; i < candidateScore.length; i++) this.sums[i + 1] = this.sums[i] + candidateScore[i];
    this.referenced = 0;
    for (const reference of data.reference) if (reference === reference) this.referenced++;
  }

  cap(row, margin, kind) {
    const reference = this.data.reference[row];
    return Math.fround(kind === "relative" ? reference - Math.abs(reference) * margin : reference - margin);
  }

  /** First stored candidate of a row that a margin admits. */
  first(row, margin, kind) {
    const { candidateOffsets, candidateScore } = this.data;
    let low = candidateOffsets[row];
    let high = candidateOffsets[row + 1];
    const cap = margin === null ? this.data.cap[row] : this.cap(row, margin, kind);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (candidateScore[middle] > cap) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Figures of a margin, over rows with a reference; of the caps as mined where the margin is null. */
  effect(margin, kind) {
    const { candidateOffsets, candidateFlags, cap, flags, numNegatives, reference } = this.data;
    let taken = 0;
    let sum = 0;
    let short = 0;
    let unknown = 0;
    for (let row = 0; row < this.n; row++) {
      if (reference[row] !== reference[row]) continue;
      const first = this.first(row, margin, kind);
      const end = Math.min(first + numNegatives, candidateOffsets[row + 1]);
      const missing = end - first < numNegatives;
      const looser = margin !== null && candidateFlags[row] & flags.gap && this.cap(row, margin, kind) > cap[row];
      taken += end - first;
      sum += this.sums[end] - this.sums[first];
      if (looser || (missing && candidateFlags[row] & flags.cut)) unknown++;
      else if (missing) short++;
    }
    const n = Math.max(this.referenced, 1);
    return { perQuery: taken / n, hardness: taken ? sum / taken : NaN, short: short / n, unknown: unknown / n };
  }

  /** How far a score lies below the reference of its row. */
  distance(row, score, kind) {
    const reference = this.data.reference[row];
    return kind === "relative" ? (reference - score) / Math.abs(reference) : reference - score;
  }
}
