// The journal of one sitting: every change is on this machine's disk before it goes out, and is forgotten only when the
// engine saved it in its current generation at a position that PostgreSQL holds. What a rise of the generation put in
// doubt is sent again. In memory one slot per item; on disk the newest change per item (per item the highest seq wins), and
// a copy of what was recorded, with which a reloaded page can go on while the engine is away (pass.js).

import { isForeign, print } from './foreign.js';
import { countStandings, isUndelivered, standing } from './standing.js';
import * as store from './store.js';
import { isAnswer } from './values.js';

const CHANGES_MAX = 200; // of one call
const BYTES_MAX = 200 * 1024; // of one call's values; the engine takes 256 KiB with everything
const DISK_MS_MAX = 3_000; // a disk that takes longer is treated as refusing: a change must not wait for it to go out
const NAMED_MAX = 8; // changes told one by one
const OWN_MAX = 64; // earlier unacknowledged changes of one item that are still told from another machine's

/** The journal as this machine kept it, or an empty one. Never fails: a machine that cannot keep anything says so. */
export async function openJournal(sitting_id) {
  const journal = new Journal(sitting_id);
  await journal.reload();
  return journal;
}

class Journal extends EventTarget {
  #slots = new Map(); // item -> {value, known, entry, recorded, held, draft, fault, aside}
  #sitting;
  #generation = 0;
  #committed = -1;
  #acknowledged = 0;
  #keeping = Promise.resolve();

  broken = false; // this machine's disk refuses: changes are sent all the same, and the page says so

  constructor(sitting_id) {
    super();
    this.#sitting = { sitting_id, seq: 0, recorded: {}, flags: [], place: null };
  }

  async reload() {
    const kept = await store.load(this.#sitting.sitting_id).catch(() => ((this.broken = true), null));
    if (!kept) return;
    this.#slots.clear();
    this.#sitting = { ...this.#sitting, ...kept.sitting };
    for (const { item, text } of kept.drafts) this.#slot(item).draft = text;
    for (const { item, json } of kept.aside) this.#slot(item).aside = json;
    for (const { sitting_id, item, ...change } of kept.changes) {
      const slot = this.#slot(item);
      slot.entry = { item, ...change, kept: true }; // `saved` holds if the engine is still in that generation
      slot.value = JSON.parse(change.json);
    }
  }

  #slot(item) {
    let slot = this.#slots.get(item);
    if (!slot) {
      slot = { value: null, known: 0, entry: null, recorded: this.#sitting.recorded[item] ?? 0 };
      this.#slots.set(item, slot);
    }
    return slot;
  }

  #changed(item) {
    this.dispatchEvent(new CustomEvent('change', { detail: item }));
  }

  /** A few by name: each is drawn again, and the hundred others are not. */
  #allChanged(items) {
    if (items.length > NAMED_MAX) this.#changed(null);
    else items.forEach((item) => this.#changed(item));
  }

  /**
   * Takes the engine's view at the start. A kept change that meets an answer from elsewhere is put aside, not sent.
   * With `look` nothing is decided: another tab writes, this one only shows.
   */
  merge({ responses = {}, generation, committed }, { look = false } = {}) {
    const aside = { put: [], drop: [] };
    const copies = [];
    for (const [item, { seq, value }] of Object.entries(responses)) {
      const slot = this.#slot(item);
      this.#sitting.seq = Math.max(this.#sitting.seq, seq);
      this.#acknowledged = Math.max(this.#acknowledged, seq);
      slot.known = seq;
      copies.push({ item, seq, json: JSON.stringify(value) });
      if (!look && slot.entry && isForeign(slot.entry, seq, value)) {
        if (!(slot.entry.acked && seq > slot.entry.seq)) {
          slot.aside = slot.entry.json;
          aside.put.push({ item, json: slot.entry.json });
        }
        aside.drop.push(item);
        slot.entry = null;
      }
      if (!slot.entry) slot.value = value;
    }
    if (copies.length && !look) this.#keep({ changes: { drop: aside.drop }, aside: { put: aside.put }, copies: { put: copies } });
    if (!look) this.progress(generation, committed);
    this.#changed(null);
  }

  /** Something is being typed that has not been reported yet. */
  hold(item) {
    this.#slot(item).held = true;
    this.#changed(item);
  }

  /** Journals a change; it may be sent once it is on disk. The screen already shows it. */
  async write(item, json, draft) {
    const slot = this.#slot(item);
    const before = slot.entry;
    slot.held = false;
    if (json === (before?.json ?? JSON.stringify(slot.value)) && !slot.fault && draft === slot.draft) return this.#changed(item);
    const own = before && !before.acked ? [...before.own, [before.seq, print(before.json)]].slice(-OWN_MAX) : [];
    const base = before ? (before.acked ? before.seq : before.base) : slot.known;
    const entry = { item, seq: (this.#sitting.seq += 1), json, base, own, acked: false };
    Object.assign(slot, { entry, value: JSON.parse(json), fault: null, draft });
    this.#changed(item);
    const drafts = draft === undefined ? { drop: [item] } : { put: [{ item, text: draft }] };
    await this.#keep({ changes: { put: [onDisk(entry)] }, drafts });
    entry.kept = true;
    this.#changed(item);
    this.dispatchEvent(new Event('ready'));
  }

  /** Resolves once everything reported so far is on disk. */
  async written() {
    await this.#keeping;
  }

  /** Keeps on this machine what cannot be sent as it stands; the last valid answer goes on counting. */
  async writeFaulty(item, draft, fault) {
    Object.assign(this.#slot(item), { draft, fault, held: false });
    this.#changed(item);
    await this.#keep({ drafts: { put: [{ item, text: draft }] } });
  }

  /** A draft from before a reload is still not valid. */
  restoreFault(item, fault) {
    this.#slot(item).fault = fault;
  }

  dropDraft(item) {
    this.#slot(item).draft = undefined;
    this.#keep({ drafts: { drop: [item] } });
  }

  /** Ends the question which of two answers counts: this machine's is taken up again, or dropped. */
  async settle(item, takeUp) {
    const slot = this.#slot(item);
    const json = slot.aside;
    slot.aside = undefined;
    await this.#keep({ aside: { drop: [item] } });
    if (takeUp) await this.write(item, json);
    this.#changed(item);
  }

  async #keep(edits) {
    const keeping = this.#store(edits);
    this.#keeping = this.#keeping.then(() => keeping);
    await keeping;
  }

  async #store(edits) {
    const late = new Promise((resolve) => setTimeout(resolve, DISK_MS_MAX, true));
    const broken = await Promise.race([store.keep(this.#sitting, edits).then(() => false, () => true), late]);
    if (broken === this.broken) return;
    this.broken = broken;
    this.#changed(null);
  }

  #entries() {
    return [...this.#slots.values()].flatMap((slot) => slot.entry ?? []).sort((a, b) => a.seq - b.seq);
  }

  /** The next changes for one call, oldest first. */
  unsent() {
    let bytes = 0;
    const waiting = this.#entries().filter((entry) => entry.kept && !entry.saved && !entry.refused);
    return waiting.slice(0, CHANGES_MAX).filter((entry, index) => {
      bytes += 3 * entry.json.length + 100; // three bytes of UTF-8 for a Chinese character
      return index === 0 || bytes <= BYTES_MAX;
    });
  }

  /** The engine saved `chunk`. */
  acknowledge(chunk, { saved, generation, position, committed }) {
    this.#acknowledged = Math.max(this.#acknowledged, saved);
    if (generation < this.#generation) return; // overtaken: these are being sent again
    const acked = [];
    for (const sent of chunk) {
      const slot = this.#slot(sent.item);
      slot.known = Math.max(slot.known, sent.seq);
      if (slot.entry?.seq !== sent.seq) continue;
      Object.assign(slot.entry, { saved: { generation, position }, acked: true });
      acked.push(onDisk(slot.entry));
    }
    if (acked.length) this.#keep({ changes: { put: acked } });
    this.progress(generation, committed);
    this.#allChanged(chunk.map(({ item }) => item));
  }

  /** PostgreSQL holds everything up to `committed`: what was saved by then is forgotten here. */
  progress(generation, committed) {
    if (generation > this.#generation) this.#raise(generation);
    if (generation < this.#generation) return;
    // What is known counts, not what is new: a poll may have told it before the reply to the save came, and the reply to
    // a change sent twice names the position of today, which may be recorded already.
    if (committed > this.#committed) this.#committed = committed;
    const drop = [];
    const copies = [];
    for (const { entry } of this.#slots.values()) {
      if (!(entry?.saved?.position <= this.#committed)) continue;
      drop.push(entry.item);
      copies.push({ item: entry.item, seq: entry.seq, json: entry.json });
    }
    // The log keeps its order: once something saved from here is recorded, so is all that was there before.
    const loaded = drop.length ? [...this.#slots].filter(([, slot]) => slot.known && !slot.entry).map(([item]) => item) : [];
    const moved = [];
    for (const item of [...drop, ...loaded]) {
      const slot = this.#slot(item);
      const seq = slot.entry?.seq ?? slot.known;
      if (slot.entry || slot.recorded !== seq) moved.push(item);
      slot.recorded = this.#sitting.recorded[item] = seq;
      slot.entry = null;
    }
    if (!drop.length) return;
    this.#keep({ changes: { drop }, copies: { put: copies } });
    this.#allChanged(moved);
  }

  #raise(generation) {
    this.#generation = generation;
    this.#committed = -1;
    this.sendAgain((entry) => entry.saved?.generation !== generation);
  }

  /** What was not forgotten no longer counts as saved, unless `doubtful` says that it does. */
  sendAgain(doubtful = () => true) {
    for (const entry of this.#entries()) if (doubtful(entry)) entry.saved = null;
    this.dispatchEvent(new Event('ready'));
    this.#changed(null);
  }

  /** The engine will not take this change as it stands; it stays here until the candidate changes it. */
  refuse(entry, detail) {
    entry.refused = detail || true;
    this.#changed(entry.item);
  }

  value(item) {
    return this.#slots.get(item)?.value ?? null;
  }

  draft(item) {
    return this.#slots.get(item)?.draft;
  }

  fault(item) {
    return this.#slots.get(item)?.fault ?? null;
  }

  aside(item) {
    return this.#slots.get(item)?.aside;
  }

  refusal(item) {
    return this.#slots.get(item)?.entry?.refused ?? '';
  }

  /** How far an answer has come; see standing.js. */
  state(item) {
    return standing(this.#slots.get(item));
  }

  answered(item) {
    return isAnswer(this.value(item));
  }

  /** Counts of items by state. */
  counts() {
    return countStandings(this.#slots.values());
  }

  /** Items whose newest change the engine has not got. */
  undelivered() {
    return [...this.#slots].filter(([, slot]) => isUndelivered(slot)).map(([item]) => item);
  }

  /** Whether something saved still waits to be recorded. */
  get settling() {
    return this.#entries().some((entry) => entry.saved);
  }

  /** Whether anything here is still worth keeping: not recorded, not valid, or put aside. */
  get holds() {
    return [...this.#slots.values()].some((slot) => slot.entry || slot.fault || slot.aside !== undefined);
  }

  /** The highest seq the engine is known to have had: what a hand-in names. */
  get acknowledged() {
    return this.#acknowledged;
  }

  /** [[item, seq, value], …] as the engine should have it, for comparing with a receipt's digest. */
  delivered() {
    const known = [...this.#slots].filter(([, slot]) => slot.known && !(slot.entry && !slot.entry.saved));
    return known.map(([item, slot]) => [item, slot.entry?.seq ?? slot.known, slot.value]);
  }

  get place() {
    return this.#sitting.place;
  }

  setPlace(item) {
    this.#sitting.place = item;
    this.#keep({});
  }

  flagged(item) {
    return this.#sitting.flags.includes(item);
  }

  toggleFlag(item) {
    const { flags } = this.#sitting;
    this.#sitting.flags = flags.includes(item) ? flags.filter((flag) => flag !== item) : [...flags, item];
    this.#keep({});
    this.#changed(item);
  }

  /** Nothing is left to deliver: the next candidate at this machine finds nothing. */
  async wipe() {
    await store.forget(this.#sitting.sitting_id).catch(() => {});
  }
}

const onDisk = ({ item, seq, json, base, own, acked, saved }) => ({ item, seq, json, base, own, acked, saved });
