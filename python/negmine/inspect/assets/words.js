"use strict";

/* Words that a document shares with its query or its positive. Frequent words are not marked. */

const SAMPLE = 600;
const FREQUENT = 0.05;
const segmenter = typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;

/** Pieces of a text as [piece, lowercase word or null]. */
function pieces(text) {
  if (segmenter) {
    return Array.from(segmenter.segment(text), (part) => [part.segment, part.isWordLike ? part.segment.toLowerCase() : null]);
  }
  return text.split(/([\p{L}\p{N}]+)/u).map((part, i) => [part, i % 2 ? part.toLowerCase() : null]);
}

class Words {
  constructor(texts) {
    this.texts = texts;
    this.frequent = null;
  }

  /** Words that many documents of a sample hold, in any language. */
  _frequent() {
    if (this.frequent) return this.frequent;
    const counts = new Map();
    const step = Math.max(1, Math.floor(this.texts.length / SAMPLE));
    let n = 0;
    for (let i = 0; i < this.texts.length; i += step, n++) {
      for (const word of this.of(this.texts[i])) counts.set(word, (counts.get(word) || 0) + 1);
    }
    const least = Math.max(3, FREQUENT * n);
    this.frequent = new Set([...counts].filter(([, count]) => count > least).map(([word]) => word));
    return this.frequent;
  }

  of(text) {
    return new Set(pieces(text).map(([, word]) => word).filter((word) => word !== null));
  }

  /** Words of some texts that are worth marking. */
  telling(texts) {
    const frequent = this._frequent();
    const words = new Set();
    for (const text of texts) for (const word of this.of(text)) if (!frequent.has(word) && !/^[\da-z]$/.test(word)) words.add(word);
    return words;
  }

  /** A text whose words are marked, as nodes; neighbors without a mark are one node. */
  marked(text, ofQuery, ofPositive) {
    const fragment = document.createDocumentFragment();
    let buffer = "";
    for (const [piece, word] of pieces(text)) {
      const kind = word === null ? "" : ofQuery.has(word) ? "query" : ofPositive.has(word) ? "positive" : "";
      if (!kind) {
        buffer += piece;
        continue;
      }
      if (buffer) fragment.append(buffer);
      buffer = "";
      fragment.append(el("mark", { class: `shared ${kind}` }, piece));
    }
    if (buffer) fragment.append(buffer);
    return fragment;
  }
}
