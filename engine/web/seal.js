// The sealed paper, "LKP2" (schema/sealed-paper.md): a manifest of digests, then envelopes under keys of their own. It is
// fetched and its digest checked before the start; only the paper key, released at the start, opens it: the text at once,
// media after it and chunk by chunk, so that no figure holds up the first question.

import { call } from './api.js';

const MAGIC = 'LKP2';
const SUITE = 'LKE1';
const DOWNLOAD_MS_MAX = 120_000; // a paper with figures on a full room's line
const utf8 = new TextEncoder();
const text = (bytes) => new TextDecoder().decode(bytes);

/** The sealed bytes, already compared with `digest` (hex SHA-256); throws SealBroken when they differ. */
export async function fetchSealed(digest, again = false) {
  const cache = again ? 'reload' : 'default';
  const sealed = await call('GET', `/v1/sealed/${digest}`, { binary: true, cache, call_ms_max: DOWNLOAD_MS_MAX });
  const found = hex(await crypto.subtle.digest('SHA-256', sealed));
  if (found !== digest) throw new SealBroken(`the sealed paper's digest is ${found}, expected ${digest}`);
  return sealed;
}

/** The bytes are not the ones that were armed: fetch again, past every cache. */
export class SealBroken extends Error {
  transient = true;
}

/** The paper inside: its sections, and `media` as [{name, open()}], a Blob each; `paper_key` as bytes. */
export async function openSealed(sealed, paper_key, batch_id) {
  const { parts, chunk_bytes, key_id, envelopes } = partsOf(sealed, batch_id);
  const material = await crypto.subtle.importKey('raw', paper_key, 'HKDF', false, ['deriveKey']);

  async function open(part, chunks = 1, packing = 'deflate') {
    const { sha256, envelope } = envelopes.get(part) ?? {};
    if (!sha256 || hex(await crypto.subtle.digest('SHA-256', envelope)) !== sha256 || text(envelope.subarray(0, 4)) !== SUITE) {
      throw new SealBroken(`part ${part} of the sealed paper is not what its manifest lists`);
    }
    const info = utf8.encode(`liankao/v2/paper|${SUITE}|${batch_id}|${part}`);
    const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
    const key = await crypto.subtle.deriveKey(how, material, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
    // RFC 8785: the names in their order, and nothing in the values that JSON could write in two ways.
    const header = JSON.stringify({ batch_id, chunk_bytes, chunks, key_id, part, parts: parts.length, suite: SUITE });
    const opening = { name: 'AES-GCM', iv: new Uint8Array(12), additionalData: utf8.encode(header) };
    const message = await crypto.subtle.decrypt(opening, key, envelope.subarray(4));
    const packed = new Blob([new Uint8Array(message, 4, new DataView(message).getUint32(0))]);
    return packing === 'stored' ? packed : new Response(packed.stream().pipeThrough(new DecompressionStream('deflate'))).blob();
  }

  const read = async (part) => JSON.parse(await (await open(part)).text());
  const index = await read('index');
  const chunksOf = ({ bytes }, at) => Array.from({ length: Math.max(1, Math.ceil(bytes / chunk_bytes)) }, (_, n) => `m${at}.${n}`);
  const names = index.sections.map((_, at) => `s${at}`);
  const expected = ['index', ...names, ...index.media.flatMap(chunksOf)];
  if (`${parts.map(({ name }) => name)}` !== `${expected}`) throw new SealBroken('the sealed paper lacks a part, or has one too many');
  const media = index.media.map((medium, at) => ({
    name: medium.name,
    async open() {
      const chunks = chunksOf(medium, at);
      const blobs = [];
      for (const chunk of chunks) blobs.push(await open(chunk, chunks.length, medium.packing));
      return new Blob(blobs, { type: medium.type });
    },
  }));
  return { ...index, sections: await Promise.all(names.map(read)), media };
}

/** The manifest, and where each part lies. Who signed it is no question here: the engine has told the digest of it all. */
function partsOf(sealed, batch_id) {
  if (text(sealed.subarray(0, 4)) !== MAGIC || sealed.length < 8) throw new SealBroken('the sealed paper has an unknown layout');
  let ends = 8 + new DataView(sealed.buffer, sealed.byteOffset).getUint32(4);
  const manifest = JSON.parse(text(sealed.subarray(8, ends)));
  const envelopes = new Map();
  for (const { name, bytes, sha256 } of manifest.parts) envelopes.set(name, { sha256, envelope: sealed.subarray(ends, (ends += bytes)) });
  if (manifest.suite !== SUITE || manifest.batch_id !== batch_id || ends !== sealed.length) {
    throw new SealBroken('the sealed paper is of another batch or suite, or cut off');
  }
  return { ...manifest, envelopes };
}

/** Bytes of a base64 or base64url text, padded or not. */
export function bytesOf(base64) {
  const binary = atob(base64.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Lower-case hex of a buffer. */
export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The start of a digest in groups of four, as people read it aloud. */
export function shortDigest(digest) {
  return digest.slice(0, 16).match(/.{4}/g).join(' ');
}
