// The service worker: keeps the page's files and the sealed papers on this machine, so that a reload or a restarted
// browser finds them with the server away. Nothing else passes through it: what belongs to a candidate is in IndexedDB.
//
// The server writes before this: RELEASE, the digest of the page's files, and FILES, the paths that the index names.
// One release's files are kept together under its digest and never mixed with another's. A new release is fetched in the
// background and waits: it takes over once no tab shows the old one, or when a page on which no exam is
// going on says so (shell.js).

const SHELL = `liankao-shell-${RELEASE}`;
const SEALED = 'liankao-sealed';
const SEALED_MAX = 3; // papers, each up to 64 MiB: today's, and the one before
const INDEX = '/';

addEventListener('install', (event) => event.waitUntil(fill()));
addEventListener('activate', (event) => event.waitUntil(begin()));
addEventListener('message', ({ data }) => data === 'activate' && skipWaiting());
addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if (request.mode === 'navigate' && url.pathname === INDEX) event.respondWith(fromShell(INDEX, request));
  else if (url.pathname.startsWith(`/web/${RELEASE}/`)) event.respondWith(fromShell(url.pathname, request));
  else if (url.pathname.startsWith('/v1/sealed/')) event.respondWith(sealed(url.pathname, request));
});

async function fill() {
  const shell = await caches.open(SHELL);
  await Promise.all([INDEX, ...FILES].map(async (path) => shell.put(path, await ofThisRelease(path))));
}

/** While servers are being upgraded, another one may answer with another release's file: then not now. */
async function ofThisRelease(path) {
  const response = await fetch(path, { cache: path === INDEX ? 'no-cache' : 'default' });
  const text = path === INDEX ? await response.clone().text() : '';
  const right = path === INDEX ? text.includes(`/web/${RELEASE}/`) : response.headers.get('cache-control')?.includes('immutable');
  if (!response.ok || !right) throw new Error(`${path} is not of the release ${RELEASE}`);
  return response;
}

async function begin() {
  const old = (await caches.keys()).filter((name) => name.startsWith('liankao-shell-') && name !== SHELL);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

async function fromShell(path, request) {
  const shell = await caches.open(SHELL);
  const kept = await shell.match(path);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.headers.get('cache-control')?.includes('immutable')) await shell.put(path, response.clone());
  return response;
}

/** A paper's address is its digest: what was kept under it is still right, unless the page found that it is not. */
async function sealed(path, request) {
  const papers = await caches.open(SEALED);
  const kept = request.cache === 'reload' ? null : await papers.match(path);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.status === 200) {
    await papers.put(path, response.clone()).catch(() => {}); // a full disk must not keep the paper from its reader
    const all = await papers.keys();
    await Promise.all(all.slice(0, Math.max(0, all.length - SEALED_MAX)).map((one) => papers.delete(one)));
  }
  return response;
}
