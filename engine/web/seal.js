// The sealed paper: "LKP1" | 12-byte nonce | AES-256-GCM ciphertext with its tag. It is fetched and its digest checked
// before the start; only the paper key, released at the start, opens it.

import { call } from './api.js';

const MAGIC = 'LKP1';
const NONCE_BYTES = 12;
const DOWNLOAD_MS_MAX = 120_000; // a paper with figures on a full room's line
const utf8 = new TextEncoder();

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

/** The paper inside; `paper_key` as bytes. */
export async function openSealed(sealed, paper_key, batch_id) {
  const magic = sealed.subarray(0, MAGIC.length);
  if (new TextDecoder('latin1').decode(magic) !== MAGIC) throw new SealBroken('the sealed paper has an unknown layout');
  const nonce = sealed.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES);
  const key = await contentKey(paper_key, batch_id);
  const additionalData = utf8.encode(MAGIC + batch_id);
  const ciphertext = sealed.subarray(MAGIC.length + NONCE_BYTES);
  const packed = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce, additionalData }, key, ciphertext);
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(inflated).text());
}

async function contentKey(paper_key, batch_id) {
  const material = await crypto.subtle.importKey('raw', paper_key, 'HKDF', false, ['deriveKey']);
  const info = utf8.encode(`liankao/v1/paper|${batch_id}`);
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
  return crypto.subtle.deriveKey(how, material, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
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
