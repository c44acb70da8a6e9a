// The exam itself. This file only wires: the journal keeps, autosave sends, the watch listens, desk.js shows, and `mode`
// says who may write: null (this page), `readonly` (with a reason) or `ended`.

import { startAutosave } from './autosave.js';
import * as clock from './clock.js';
import { guardPaper } from './copying.js';
import { Desk } from './desk.js';
import { handIn } from './handin.js';
import { html, signal } from './html.js';
import { openJournal } from './journal.js';
import { listenToKeys } from './keys.js';
import { watchLeaving } from './leaving.js';
import { follow, now } from './live.js';
import { restoreDrafts } from './question.js';
import { fetchReceipt, receiptScreen } from './receipt.js';
import { figureUrls } from './stem.js';
import { startWatch } from './watch.js';
import { t } from './words.js';
import { openWriter } from './writer.js';

const WATCH_MS = 5_000;
const SETTLING_MS = 2_000; // something was just saved: soon it is recorded

/** `paper` is {items, media}; `claim` is true after a login: who types ID and code means to write here. */
export async function examScreen(app, paper, claim) {
  const { items } = paper;
  const journal = await openJournal(app.view.sitting_id);
  const leaving = new AbortController();
  const { signal: left } = leaving;
  const figures = figureUrls(paper.media, left);
  const current = signal(items[0]);
  const reason = signal(null); // why this page may not write: tab, superseded, login
  const ended = signal(false);
  const announced = signal(null); // what the banner says, until it is read
  const built = signal(0); // how often the item's fields were built anew
  const typing = { current: null }; // reports what is typed but still held back
  let autosave = null;
  let warned = false;

  const exam = {
    app, items, figures, typing, current, reason, ended, announced, built,
    sections: grouped(items),
    followed: follow(journal, items, left),
    mode: () => (reason.value ? 'readonly' : ended.value ? 'ended' : null),
    /** This page sends nothing any more. */
    stopped: () => reason.value === 'superseded' || reason.value === 'login',
    rebuild: () => (built.value += 1),
    focusHeading: () => document.querySelector('.question-number')?.focus({ preventScroll: true }),
    go,
    step(by) {
      const next = items[items.indexOf(current.value) + by];
      if (next) go(next);
      return next !== undefined;
    },
    handIn: askHandIn,
    takeHere,
  };

  const writer = openWriter(app.view.sitting_id, app.token, { onYield: stopWriting, onLost: () => setReason('tab') });
  const watch = startWatch(app.token, () => (journal.settling ? SETTLING_MS : WATCH_MS), { onView, onRefused, looks: () => reason.value === 'tab' });

  async function start() {
    if (await writer.acquire()) return beginWriting();
    if (!claim) {
      journal.merge(app.view, { look: true });
      return setReason('tab');
    }
    await writer.takeOver();
    return beginWriting();
  }

  async function beginWriting() {
    await journal.reload();
    journal.merge(app.view);
    restoreDrafts(items, journal);
    reason.value = null;
    autosave = startAutosave(journal, app.token, onRefused);
    current.value = items.find((item) => item.id === journal.place) ?? items[0];
    const disputed = items.filter((item) => journal.aside(item.id) !== undefined).length;
    if (disputed) announced.value = () => t('aside.found', { n: disputed });
  }

  async function stopWriting() {
    flush();
    await journal.written();
    await autosave?.stop();
    autosave = null;
  }

  function flush() {
    typing.current?.();
  }

  function setReason(next) {
    if (left.aborted || reason.value === next || (reason.value && next === 'tab')) return;
    flush();
    reason.value = next;
    autosave?.stop();
    autosave = null;
    if (next === 'tab') return;
    watch.stop();
    writer.close();
  }

  async function takeHere() {
    await writer.takeOver();
    await app.resume(); // the engine's newest view, then back to this item
  }

  function onRefused(problem) {
    if (problem.code === 'autosave.closed') end();
    else if (problem.code === 'sitting.superseded') setReason('superseded');
    else if (problem.status === 401 || problem.code === 'sitting.order') setReason('login');
  }

  async function onView(view) {
    const { ends_ms } = app.view;
    app.viewIs(view);
    if (reason.value === 'tab') await look(view);
    else journal.progress(view.generation, view.committed);
    if (app.view.ends_ms !== ends_ms) timeChanged();
    if (['submitted', 'collected'].includes(app.view.state)) end();
  }

  // Another tab writes: what it wrote is shown here, too.
  async function look(view) {
    const shown = () => JSON.stringify(journal.value(current.value.id));
    const before = shown();
    await journal.reload();
    journal.merge(view, { look: true });
    if (shown() !== before) exam.rebuild();
  }

  function timeChanged() {
    announced.value = () => t('exam.time_changed', { time: clock.wallClock(app.view.ends_ms) });
    warned = warned && clock.now() >= app.view.rules.warning_ms;
    if (ended.value && clock.now() < app.view.ends_ms) reopen();
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  let collecting = null;

  function end() {
    if (ended.value || left.aborted) return;
    flush();
    for (const dialog of document.querySelectorAll('dialog')) dialog.close();
    ended.value = true;
    announced.value = null;
    collecting = new AbortController();
    collect(collecting.signal);
  }

  async function collect(signal) {
    const closes_ms = app.view.ends_ms + app.view.rules.grace_s * 1000;
    const over = ['submitted', 'collected'].includes(app.view.state);
    await clock.sleepUntil(over ? 0 : closes_ms + Math.random() * 1_500, signal);
    const receipt = await fetchReceipt(app.token, signal);
    if (receipt && !signal.aborted) finish(receipt);
  }

  // Lost time given back in the grace: the candidate goes on.
  function reopen() {
    collecting.abort();
    ended.value = false;
    autosave?.stop();
    autosave = startAutosave(journal, app.token, onRefused);
  }

  function finish(receipt) {
    const missing = journal.undelivered();
    const undelivered = items.filter((item) => missing.includes(item.id)).map((item) => item.number);
    app.show(receiptScreen(app, receipt, { journal: reason.value ? null : journal, undelivered: reason.value ? [] : undelivered }));
  }

  async function askHandIn() {
    flush();
    await journal.written();
    const receipt = await handIn(app, { items, journal, autosave, onRefused, go });
    if (receipt) finish(receipt);
  }

  // ---- moving about -------------------------------------------------------------------------------------------

  function go(item) {
    flush();
    current.value = item;
    // Drawn in the next microtask or two; the focus follows it there. Once it is seen, the place is kept.
    requestAnimationFrame(() => {
      if (!reason.value) setTimeout(() => journal.setPlace(item.id));
      const desk = document.querySelector('.desk');
      if (desk) desk.scrollTop = 0;
      exam.focusHeading();
    });
  }

  function tick() {
    const { ends_ms, rules } = app.view;
    if (!warned && !reason.value && now.value >= rules.warning_ms && now.value < ends_ms) {
      warned = true;
      const time = clock.countdown(ends_ms - now.value);
      announced.value = () => t('exam.warning', { time });
    }
    if (now.value >= ends_ms) end();
  }

  let settling = false;

  function changed() {
    if (journal.settling && !settling) watch.replan();
    settling = journal.settling;
  }

  journal.addEventListener('change', changed, { signal: left });
  document.addEventListener('visibilitychange', flush, { signal: left });
  addEventListener('pagehide', flush, { signal: left });
  // Back must not leave the exam: there is always one more entry to go back from.
  const stay = () => history.pushState(null, '');
  stay();
  addEventListener('popstate', stay, { signal: left });
  addEventListener('beforeunload', (event) => exam.mode() === null && journal.undelivered().length > 0 && event.preventDefault(), { signal: left });
  listenToKeys(exam, left);
  if (!app.view.rules.allow_copy) guardPaper(left);
  await start();
  watchLeaving(app.token, () => exam.mode() === null, left);
  const stopTicking = clock.everyTick(tick);

  return {
    View: () => html`<${Desk} exam=${exam} />`,
    focus: '.question-number',
    stop() {
      leaving.abort();
      collecting?.abort();
      stopTicking();
      watch.stop();
      autosave?.stop();
      writer.close();
      for (const url of figures.values()) URL.revokeObjectURL(url.value);
    },
  };
}

function grouped(items) {
  const sections = new Map();
  for (const item of items) sections.set(item.section, [...(sections.get(item.section) ?? []), item]);
  return sections;
}
