"use strict";

/* Verdicts on pairs: kept in the browser under the key of the page, and exported as lines of JSON. */

const WORDS = { p: "positive", d: "drop", k: "keep", u: "unsure" };

class VerdictBook {
  constructor(data, key) {
    this.data = data;
    this.key = `negmine-verdicts-${key}`;
    this.kept = true;
    this.entries = new Map();
    this.judge = "me";
    try {
      const stored = JSON.parse(localStorage.getItem(this.key) || "{}");
      this.entries = new Map(Object.entries(stored.entries || {}));
      this.judge = stored.judge || localStorage.getItem("negmine-judge") || "me";
    } catch {
      this.kept = false;
    }
  }

  _pair(query, document) {
    return `${query},${document}`;
  }

  get(query, document) {
    return this.entries.get(this._pair(query, document));
  }

  /** Set a verdict; null takes it back. The last verdict on a pair is the last line of the export. */
  set(query, document, word) {
    this.entries.delete(this._pair(query, document));
    if (word) this.entries.set(this._pair(query, document), word);
    this._keep();
  }

  setJudge(name) {
    this.judge = name.trim() || "me";
    this._keep();
  }

  _keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify({ judge: this.judge, entries: Object.fromEntries(this.entries) }));
      localStorage.setItem("negmine-judge", this.judge);
      this.kept = true;
    } catch {
      this.kept = false;
    }
  }

  /** Queries that have a verdict. */
  queries() {
    const found = new Map();
    for (const pair of this.entries.keys()) {
      const query = Number(pair.split(",")[0]);
      found.set(query, (found.get(query) || 0) + 1);
    }
    return found;
  }

  /** One line per verdict. Integer labels are written as they are: they may be too large for a number of JavaScript. */
  lines() {
    const { data } = this;
    const label = (id, isNumber) => (isNumber ? id : JSON.stringify(id));
    return [...this.entries].map(([pair, word]) => {
      const [query, document] = pair.split(",").map(Number);
      return (
        `{"query_id": ${label(data.queryIds[query], data.queryIdsAreNumbers)}, ` +
        `"document_id": ${label(data.documentIds[document], data.documentIdsAreNumbers)}, ` +
        `"verdict": ${JSON.stringify(word)}, "judge": ${JSON.stringify(this.judge)}, "log_prob": null}`
      );
    });
  }

  download() {
    const blob = new Blob([this.lines().map((line) => `${line}\n`).join("")], { type: "application/jsonl" });
    const url = URL.createObjectURL(blob);
    const link = el("a", { href: url, download: "verdicts.jsonl" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}
