// The one door to IndexedDB. Four stores, all keyed by sitting, so that a second login on this machine finds them again:
//   sittings  {sitting_id, seq, recorded: {item: seq}, flags: [item], place, used_ms}
//   changes   {sitting_id, item, seq, json, base, own, acked, saved}   what the engine has not recorded yet:
//             base = the engine's seq when it was typed, own = changes of ours since, saved = {generation, position}
//   drafts    {sitting_id, item, text}                          a number or text exactly as typed, valid or not
//   aside     {sitting_id, item, json}                          what another machine's answer stood against

const DATABASE = 'liankao';
const VERSION = 1;
const PER_ITEM = ['changes', 'drafts', 'aside'];
const KEPT_DAYS = 30; // leftovers of past exams; evidence while a review is possible

let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('sittings', { keyPath: 'sitting_id' });
      for (const name of PER_ITEM) request.result.createObjectStore(name, { keyPath: ['sitting_id', 'item'] });
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      request.result.onclose = () => (opening = null);
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older database'));
  });
  opening.catch(() => (opening = null));
  return opening;
}

/** Runs `work(stores)` in one transaction; resolves once it is on disk, rejects when nothing of it is. */
async function transact(names, work) {
  const db = await database();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(names, 'readwrite', { durability: 'strict' });
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('aborted'));
    try {
      work(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])));
      transaction.commit?.();
    } catch (fault) {
      transaction.abort();
      reject(fault);
    }
  });
}

/** Everything kept for a sitting: {sitting, changes, drafts, aside}; `sitting` is undefined the first time. */
export async function load(sitting_id) {
  const db = await database();
  const ask = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const reading = db.transaction(['sittings', ...PER_ITEM], 'readonly');
  const all = (name) => ask(reading.objectStore(name).getAll(wholeSitting(sitting_id)));
  const sitting = ask(reading.objectStore('sittings').get(sitting_id));
  const [found, changes, drafts, aside] = await Promise.all([sitting, ...PER_ITEM.map(all)]);
  return { sitting: found, changes, drafts, aside };
}

/** Keeps the sitting's own record and, in the same transaction, what `edits` name: {changes: {put: [], drop: [item]}, …}. */
export async function keep(sitting, edits = {}) {
  const { sitting_id } = sitting;
  await transact(['sittings', ...Object.keys(edits)], (stores) => {
    stores.sittings.put({ ...sitting, used_ms: Date.now() });
    for (const [name, { put = [], drop = [] }] of Object.entries(edits)) {
      for (const record of put) stores[name].put({ ...record, sitting_id });
      for (const item of drop) stores[name].delete([sitting_id, item]);
    }
  });
}

/** Forgets a sitting altogether: only when everything in it was recorded. */
export async function forget(sitting_id) {
  await transact(['sittings', ...PER_ITEM], (stores) => {
    stores.sittings.delete(sitting_id);
    for (const name of PER_ITEM) stores[name].delete(wholeSitting(sitting_id));
  });
}

/** Drops what past exams left on this machine. */
export async function prune() {
  const db = await database();
  const request = db.transaction('sittings', 'readonly').objectStore('sittings').getAll();
  request.onsuccess = () => {
    const oldest_ms = Date.now() - KEPT_DAYS * 86_400_000;
    for (const { sitting_id, used_ms } of request.result) if (used_ms < oldest_ms) forget(sitting_id);
  };
}

const wholeSitting = (sitting_id) => IDBKeyRange.bound([sitting_id], [sitting_id, []]);
