// What a device check measures on the machine itself. Each function gives some of the members that the engine judges
// (engine/rules/measured.py) and never rejects: what cannot be found out is told as such.

import { obstacle } from './machine.js';

const HASHED_BYTES = 4 * 2 ** 20; // a slow machine takes a third of a second
const HASH_RUNS = 3; // the best counts: the others paid for waking the processor up
const ZOOMS = [0.25, 0.33, 0.5, 0.67, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5];
const ZOOM_TOLERANCE = 0.04; // the window's own frame
const CAMERA_MS_MAX = 20_000; // somebody has to find the button
const WORKER_MS_MAX = 5_000;
const STORAGE_MS_MAX = 8_000; // a disk that is busy
const UNANSWERED = Symbol('nobody answered in time');

export async function lookAtBrowser() {
  const { userAgent, userAgentData } = navigator;
  const [browser, browser_version] = browserOf(userAgent, userAgentData?.brands ?? []);
  const [system, system_version] = await systemOf(userAgent, userAgentData);
  return { browser, browser_version, system, system_version, user_agent: userAgent.slice(0, 512), is_handheld: obstacle() === 'stop.handheld' };
}

/** Pure. [name, version]; a browser that calls itself Chrome without being it is named after what both are built on. */
export function browserOf(user_agent, brands) {
  const version = (pattern) => Number(user_agent.match(pattern)?.[1] ?? 0);
  if (/\bEdg\//.test(user_agent)) return ['edge', version(/\bEdg\/(\d+)/)];
  if (/\bFirefox\//.test(user_agent)) return ['firefox', version(/\bFirefox\/(\d+)/)];
  const chromium = version(/\bChrome\/(\d+)/) || version(/\bHeadlessChrome\/(\d+)/);
  if (!chromium) return ['other', version(/\bVersion\/(\d+)/)];
  const is_chrome = brands.length === 0 || brands.some(({ brand }) => brand === 'Google Chrome');
  return [is_chrome ? 'chrome' : 'chromium', chromium];
}

async function systemOf(user_agent, told) {
  const found = user_agent.match(/Windows NT ([\d.]+)|Mac OS X ([\d_.]+)|(CrOS)|(Linux|X11)/) ?? [];
  const [, windows, macos, chromeos, linux] = found;
  const { platformVersion = '' } = (await told?.getHighEntropyValues?.(['platformVersion']).catch(() => null)) ?? {};
  const version = platformVersion.replace(/[^A-Za-z0-9. _-]/g, '').slice(0, 32);
  if (windows) {
    const major = Number(version.split('.')[0]); // Windows tells 13 and above for 11, 1 to 10 for 10
    return ['windows', windows !== '10.0' ? windows : major >= 13 ? '11' : '10'];
  }
  if (macos) return ['macos', version || macos.replaceAll('_', '.')];
  return [chromeos ? 'chromeos' : linux ? 'linux' : 'other', ''];
}

export function lookAtScreen(browser) {
  const zoom = zoomOf(outerWidth, innerWidth);
  // Firefox counts the page's zoom into the size of the screen, the others only into the ratio.
  const scale = devicePixelRatio / (browser === 'firefox' ? 1 : zoom);
  return {
    screen_width_px: Math.round(screen.width * scale),
    screen_height_px: Math.round(screen.height * scale),
    layout_width_px: innerWidth,
    layout_height_px: innerHeight,
    zoom_percent: Math.round(zoom * 100),
  };
}

/** Pure. The page's zoom, as far as the window's two widths tell it; 1 where they do not. */
export function zoomOf(outer_px, inner_px) {
  const ratio = outer_px / inner_px;
  return ZOOMS.find((zoom) => Math.abs(ratio - zoom) <= zoom * ZOOM_TOLERANCE) ?? 1;
}

export function lookAtMemory() {
  return { memory_mib: navigator.deviceMemory ? Math.round(navigator.deviceMemory * 1024) : null };
}

export async function timeProcessor() {
  const bytes = new Uint8Array(HASHED_BYTES);
  let best_ms = Infinity;
  for (let run = 0; run < HASH_RUNS; run += 1) {
    const began = performance.now();
    await crypto.subtle.digest('SHA-256', bytes);
    best_ms = Math.min(best_ms, performance.now() - began);
  }
  const mib_per_s = HASHED_BYTES / 2 ** 20 / (Math.max(best_ms, 0.1) / 1000);
  return { cores: navigator.hardwareConcurrency || null, hash_mib_per_s: Math.round(mib_per_s) };
}

/** `onStream(stream)` may show the picture; it stops by itself when the check moves on. */
export async function tryCamera(onStream) {
  const nothing = { camera_width_px: 0, camera_height_px: 0 };
  if (!navigator.mediaDevices?.getUserMedia) return { ...nothing, camera_fault: 'missing_api' };
  const asked = navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
  let stream = null;
  try {
    stream = await within(CAMERA_MS_MAX, asked);
    if (stream === UNANSWERED) {
      asked.then((late) => stopAll(late), () => {});
      return { ...nothing, camera_fault: 'late' };
    }
    const size = await within(CAMERA_MS_MAX, firstPicture(stream, onStream));
    if (size === UNANSWERED) return { ...nothing, camera_fault: 'late' };
    return { ...size, camera_fault: '' };
  } catch (fault) {
    return { ...nothing, camera_fault: cameraFault(fault) };
  } finally {
    if (stream && stream !== UNANSWERED) setTimeout(() => stopAll(stream), 1_500); // long enough to be seen
  }
}

function firstPicture(stream, onStream) {
  const video = onStream(stream);
  return new Promise((resolve) => {
    const look = () => video.videoWidth && resolve({ camera_width_px: video.videoWidth, camera_height_px: video.videoHeight });
    video.addEventListener('loadeddata', look);
    video.addEventListener('resize', look);
    video.srcObject = stream;
    video.play().then(look, () => {});
  });
}

function stopAll(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function cameraFault({ name }) {
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'refused';
  return name === 'NotReadableError' || name === 'AbortError' ? 'busy' : 'none';
}

export async function tryStorage() {
  const works = await within(STORAGE_MS_MAX, writeAndRead()).catch(() => false);
  const { quota, usage = 0 } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
  const worker = navigator.serviceWorker ? await within(WORKER_MS_MAX, navigator.serviceWorker.ready).catch(() => UNANSWERED) : UNANSWERED;
  return {
    storage_works: works === true,
    quota_mib: Number.isFinite(quota) ? Math.round(Math.max(0, quota - usage) / 2 ** 20) : null,
    service_worker_works: worker !== UNANSWERED,
  };
}

/** A database of its own, written, read and deleted again; whether what was read is what was written. */
async function writeAndRead() {
  const name = 'liankao-device-check';
  const asked = indexedDB.open(name, 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore('trial');
  const db = await answer(asked);
  const written = crypto.getRandomValues(new Uint8Array(4096));
  const writing = db.transaction('trial', 'readwrite', { durability: 'strict' });
  writing.objectStore('trial').put(written, 1);
  await new Promise((resolve, reject) => Object.assign(writing, { oncomplete: resolve, onabort: reject }));
  const read = await answer(db.transaction('trial').objectStore('trial').get(1));
  db.close();
  await answer(indexedDB.deleteDatabase(name));
  return read.length === written.length && read.every((byte, index) => byte === written[index]);
}

function answer(asked) {
  return new Promise((resolve, reject) => Object.assign(asked, { onsuccess: () => resolve(asked.result), onerror: () => reject(asked.error) }));
}

/** Known answers: what opens a paper gives exactly what the standards say. */
export async function tryCrypto() {
  try {
    const answers = await Promise.all([digestAnswer(), cipherAnswer(), derivedAnswer(), unpackedAnswer()]);
    return { crypto_works: answers.every(Boolean) };
  } catch {
    return { crypto_works: false };
  }
}

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
const utf8 = new TextEncoder();

/** FIPS 180-4. */
async function digestAnswer() {
  return hex(await crypto.subtle.digest('SHA-256', utf8.encode('abc'))) === 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
}

/** The GCM specification's test case 14: a key, a nonce and a block of zeros. */
async function cipherAnswer() {
  const key = await crypto.subtle.importKey('raw', new Uint8Array(32), 'AES-GCM', false, ['decrypt']);
  const sealed = bytes('cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919');
  return hex(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, key, sealed)) === '00'.repeat(16);
}

/** RFC 5869, test case 1. */
async function derivedAnswer() {
  const key = await crypto.subtle.importKey('raw', bytes('0b'.repeat(22)), 'HKDF', false, ['deriveBits']);
  const how = { name: 'HKDF', hash: 'SHA-256', salt: bytes('000102030405060708090a0b0c'), info: bytes('f0f1f2f3f4f5f6f7f8f9') };
  return hex(await crypto.subtle.deriveBits(how, key, 256)) === '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf';
}

/** A zlib stream that was made elsewhere. */
async function unpackedAnswer() {
  const packed = bytes('78da7bd138e54543f38b75fb9e2e697fb1a1f9c5faa90077ad0c94');
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return (await new Response(unpacked).text()) === '联考设备调试';
}

function within(ms, promise) {
  let timer = 0;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms, UNANSWERED)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
