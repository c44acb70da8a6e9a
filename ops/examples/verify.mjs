#!/usr/bin/env node
// Checks receipts and results offline, beside `./run verify` and without any of its code: Node 20 or newer, no packages.
//
//   node verify.mjs receipt|result FILE ... --keys FILE
//
// FILE is a document as it was received, --keys the reply of GET /v1/keys. One line per file; exit 0 when every file is
// valid, 1 when one is not, 2 when the call makes no sense.
//
// A document is signed with Ed25519 over the RFC 8785 form of itself without `signature`. Whoever writes a third
// verifier needs what stands here: read strictly, write canonically, try the published keys.
import { readFileSync } from "node:fs";

const { subtle } = globalThis.crypto;
const DEPTH_MAX = 32;
const REQUIRED = {
  receipt: ["sitting_id", "batch_id", "state", "submitted_ms", "answered", "items", "digest", "key_id"],
  result: [
    "sitting_id", "candidate_id", "state", "score", "passed", "revision", "paper_digest", "answer_key_digest",
  ],
};

// --- reading: JSON.parse takes the last of two equal names and lets lone surrogates through; a verifier must not -----

/** The value of one JSON text in bytes. Objects become Maps, so that no name means anything to the language. */
function readJson(bytes) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  let at = 0;

  const fail = (what) => {
    throw new SyntaxError(`${what} at character ${at}`);
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found?.[0];
  };
  const skip = () => match(/[ \t\n\r]*/y);
  const take = (mark) => {
    skip();
    if (text[at] !== mark) return false;
    at += 1;
    return true;
  };

  function string() {
    const raw = match(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y) ?? fail("no string");
    const value = JSON.parse(raw); // one string of the grammar: nothing is left to interpretation
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) fail("lone surrogate");
    return value;
  }

  function members(close, read) {
    if (take(close)) return;
    do {
      skip();
      read();
    } while (take(","));
    if (!take(close)) fail(`no ${close}`);
  }

  function value(depth) {
    skip();
    if (text[at] === "{" || text[at] === "[") {
      if (depth === DEPTH_MAX) fail("nested too deep");
      const isObject = text[at] === "{";
      const found = isObject ? new Map() : [];
      at += 1;
      members(isObject ? "}" : "]", () => {
        if (!isObject) return found.push(value(depth + 1));
        const name = string();
        if (found.has(name)) fail(`second ${JSON.stringify(name)}`);
        if (!take(":")) fail("no colon");
        return found.set(name, value(depth + 1));
      });
      return found;
    }
    if (text[at] === '"') return string();
    const number = match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y);
    if (number !== undefined) return Number(number); // the double nearest to it, as RFC 8785 has it
    const word = match(/true|false|null/y) ?? fail("no value");
    return { true: true, false: false, null: null }[word];
  }

  const found = value(0);
  skip();
  if (at < text.length) fail("something behind the value");
  return found;
}

// --- writing: RFC 8785 ----------------------------------------------------------------------------------------------

/** The canonical text. RFC 8785 is JavaScript's own way of ordering names and of writing strings and doubles. */
function canonical(value) {
  if (value instanceof Map) {
    const names = [...value.keys()].sort(); // by UTF-16 units
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value.get(name))}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "string") return JSON.stringify(value); // escapes only what must be; lone surrogates were refused
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) throw new RangeError("a number beyond every double");
  return String(value); // shortest digits; 1e+21 from there on, 1e-7 from there down, and -0 is 0
}

// --- judging --------------------------------------------------------------------------------------------------------

/** The bytes of base64url without padding; null for any other spelling. */
function fromBase64url(text) {
  if (typeof text !== "string") return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}

async function isSignedBy(entry, message, signature) {
  const text = entry.get("public_key");
  if (typeof text !== "string" || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return false;
  try {
    const key = await subtle.importKey("raw", Buffer.from(text, "base64"), { name: "Ed25519" }, false, ["verify"]);
    return await subtle.verify({ name: "Ed25519" }, key, signature, message);
  } catch {
    return false; // not the bytes of a public key
  }
}

/** Null when `document` is a valid one of its kind, else why it is not. */
async function faultOf(kind, document, keys) {
  const missing = REQUIRED[kind].filter((name) => !(document instanceof Map && document.has(name)));
  if (missing.length > 0) return `this is no ${kind}, it lacks ${missing.join(", ")}`;
  const signature = fromBase64url(document.get("signature"));
  if (signature === null) return "its signature is none";
  const unsigned = new Map(document);
  unsigned.delete("signature");
  const message = new TextEncoder().encode(canonical(unsigned));
  for (const entry of keys) {
    if (!(entry instanceof Map) || entry.get("algorithm") !== "Ed25519") continue;
    if (document.has("key_id") && document.get("key_id") !== entry.get("key_id")) continue;
    if (await isSignedBy(entry, message, signature)) return null;
  }
  return `no published key signed this ${kind} as it stands`;
}

async function main([kind, ...rest]) {
  const at = rest.indexOf("--keys");
  const files = at < 0 ? [] : rest.toSpliced(at, 2);
  if (!Object.hasOwn(REQUIRED, kind ?? "") || files.length === 0 || rest[at + 1] === undefined) {
    console.error("usage: node verify.mjs receipt|result FILE ... --keys FILE");
    return 2;
  }
  let isAllValid = true;
  for (const file of files) {
    let fault;
    try {
      const keys = readJson(readFileSync(rest[at + 1]))?.get?.("keys");
      fault = Array.isArray(keys)
        ? await faultOf(kind, readJson(readFileSync(file)), keys)
        : `${rest[at + 1]} is no reply of GET /v1/keys`;
    } catch (error) {
      fault = error.message;
    }
    isAllValid &&= fault === null;
    console.log(`${file}: ${fault === null ? "valid" : `not valid: ${fault}`}`);
  }
  return isAllValid ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
