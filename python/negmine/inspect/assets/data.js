"use strict";

/* Reading the data of the page: base64, gzip, one JSON object, and typed arrays. */

const TYPES = { float64: Float64Array, int32: Int32Array, float32: Float32Array, uint8: Uint8Array };

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function readData(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  for (const [name, [type, begin, size]] of Object.entries(data.arrays)) {
    data[name] = new TYPES[type](buffer, 4 + length + begin, size);
  }
  return data;
}

/** Resolves when the whole page was parsed: the data stands at its end, so that the frame is painted first. */
function parsed() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}
