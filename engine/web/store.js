// The one door to IndexedDB. Seven stores, all keyed by sitting, so that a second login on this machine finds them again:
//   sittings  {sitting_id, seq, recorded: {item: seq}, flags: [item], place, used_ms}
//   changes   {sitting_id, item, seq, json, base, own, acked, saved}   what the engine has not recorded yet:
//             base = the engine's seq when it was typed, own = changes of ours since, saved = {generation, position}
//   copies    {sitting_id, item, seq, json}                     what it has recorded, to be seen without it
//   drafts    {sitting_id, item, text}                          a number or text exactly as typed, valid or not
//   aside     {sitting_id, item, json}                          what another machine's answer stood against
//   passes    {sitting_id, token, issued_ms, …}                 see pass.js
//   photos    {sitting_id, token, blob, kept_ms}                a picture that the engine has yet to store, see photo.js

import './vendor/idb.js';

const { openDB } = globalThis.idb; // its minified form is no module
const DATABASE = 'liankao';
const VERSION = 3; // 1 had neither copies nor passes, 2 no photos
const PER_SITTING = ['sittings', 'passes'];
const APART = ['photos']; // per sitting, too, but not forgotten with it
const PER_ITEM = ['changes', 'copies', 'drafts', 'aside'];
const KEPT_DAYS = 30; // leftovers of past exams; evidence while a review is possible
const PASS_HOURS = 24; // a token and a paper key are no evidence

let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const blocked = () => reject(new Error('another tab holds an older database'));
    const blocking = (_old, _new, event) => event.target.close();
    openDB(DATABASE, VERSION, { upgrade, blocked, blocking, terminated: () => (opening = null) }).then(resolve, reject);
  });
  opening.catch(() => (opening = null));
  return opening;
}

function upgrade(db) {
  const missing = (name) => !db.objectStoreNames.contains(name);
  for (const name of [...PER_SITTING, ...APART].filter(missing)) db.createObjectStore(name, { keyPath: 'sitting_id' });
  for (const name of PER_ITEM.filter(missing)) db.createObjectStore(name, { keyPath: ['sitting_id', 'item'] });
}

/** Runs `work(stores)` in one transaction; resolves once it is on disk, rejects when nothing of it is. */
async function transact(names, work) {
  const db = await database();
  const transaction = db.transaction(names, 'readwrite', { durability: 'strict' });
  const done = transaction.done;
  done.catch(() => {}); // told by the return value
  try {
    const asked = work(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])));
    for (const request of asked) request.catch(() => {}); // one that fails takes the whole transaction with it
    transaction.commit();
  } catch (fault) {
    transaction.abort();
    throw fault;
  }
  await done;
}

/** Everything kept for a sitting: {sitting, changes, copies, drafts, aside}; `sitting` is undefined the first time. */
export async function load(sitting_id) {
  const db = await database();
  const reading = db.transaction(['sittings', ...PER_ITEM], 'readonly');
  const all = (name) => reading.objectStore(name).getAll(wholeSitting(sitting_id));
  const [sitting, ...kept] = await Promise.all([reading.objectStore('sittings').get(sitting_id), ...PER_ITEM.map(all)]);
  return { sitting, ...Object.fromEntries(PER_ITEM.map((name, index) => [name, kept[index]])) };
}

/** Keeps the sitting's own record and, in the same transaction, what `edits` name: {changes: {put: [], drop: [item]}, …}. */
export async function keep(sitting, edits = {}) {
  const { sitting_id } = sitting;
  await transact(['sittings', ...Object.keys(edits)], (stores) => {
    const asked = [stores.sittings.put({ ...sitting, used_ms: Date.now() })];
    for (const [name, { put = [], drop = [] }] of Object.entries(edits)) {
      for (const record of put) asked.push(stores[name].put({ ...record, sitting_id }));
      for (const item of drop) asked.push(stores[name].delete([sitting_id, item]));
    }
    return asked;
  });
}

/** Forgets a sitting altogether: only when everything in it was recorded. */
export async function forget(sitting_id) {
  await transact([...PER_SITTING, ...PER_ITEM], (stores) => [
    ...PER_SITTING.map((name) => stores[name].delete(sitting_id)),
    ...PER_ITEM.map((name) => stores[name].delete(wholeSitting(sitting_id))),
  ]);
}

/** All passes on this machine. */
export async function passes() {
  return (await database()).getAll('passes');
}

export async function keepPass(pass) {
  await transact(['passes'], (stores) => [stores.passes.put(pass)]);
}

export async function dropPass(sitting_id) {
  await transact(['passes'], (stores) => [stores.passes.delete(sitting_id)]);
}

/** All pictures that this machine owes. */
export async function photos() {
  return (await database()).getAll('photos');
}

export async function keepPhoto(photo) {
  await transact(['photos'], (stores) => [stores.photos.put(photo)]);
}

export async function dropPhoto(sitting_id) {
  await transact(['photos'], (stores) => [stores.photos.delete(sitting_id)]);
}

/** Drops what past exams left on this machine. */
export async function prune() {
  const db = await database();
  const now_ms = Date.now();
  for (const { sitting_id, used_ms } of await db.getAll('sittings')) {
    if (used_ms < now_ms - KEPT_DAYS * 86_400_000) await forget(sitting_id);
  }
  for (const { sitting_id, issued_ms } of await db.getAll('passes')) {
    if (Math.abs(now_ms - issued_ms) > PASS_HOURS * 3_600_000) await dropPass(sitting_id);
  }
  for (const { sitting_id, kept_ms } of await photos()) {
    if (kept_ms < now_ms - KEPT_DAYS * 86_400_000) await dropPhoto(sitting_id);
  }
}

const wholeSitting = (sitting_id) => IDBKeyRange.bound([sitting_id], [sitting_id, []]);
