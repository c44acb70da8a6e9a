// The page without its server: its files and the sealed paper are kept by the service worker (sw.js). Which release this
// machine shows never changes in the middle of an exam: a waiting one is taken up only on a page that nobody uses yet.
// Exports: keepShell(isIdle), keepSealed(digest, bytes).

const WORKER = '/web/sw.js';
const SEALED = 'liankao-sealed'; // as in sw.js

/** Starts the service worker. `isIdle()`: nobody has logged in or begun to type here. Never fails: it is an extra. */
export async function keepShell(isIdle) {
  if (!navigator.serviceWorker) return;
  try {
    const registration = await navigator.serviceWorker.register(WORKER, { scope: '/', updateViaCache: 'none' });
    await takeUp(registration, isIdle);
    registration.addEventListener('updatefound', () => {
      const found = registration.installing;
      found?.addEventListener('statechange', () => found.state === 'installed' && takeUp(registration, isIdle));
    });
  } catch (fault) {
    console.warn('no service worker', fault);
  }
}

async function takeUp({ waiting }, isIdle) {
  // Without a controller this is the first worker here: it begins by itself, and nothing older is shown.
  if (!waiting || !navigator.serviceWorker.controller || !isIdle()) return;
  const { held } = await navigator.locks.query();
  if (held.some(({ name }) => name.startsWith('liankao-')) || !isIdle()) return; // another tab's exam (writer.js)
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting.postMessage('activate');
}

/** Keeps a sealed paper that this page fetched before the service worker looked after it. Never fails. */
export async function keepSealed(digest, bytes) {
  try {
    const papers = await caches.open(SEALED);
    const path = `/v1/sealed/${digest}`;
    if (!(await papers.match(path))) await papers.put(path, new Response(bytes));
  } catch (fault) {
    console.warn('the sealed paper is not kept', fault);
  }
}
