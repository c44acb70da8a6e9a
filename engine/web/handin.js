// Handing in: what is open or flagged is shown first, it is asked once, twice when something is open; everything on this
// machine goes first, then the hand-in itself is repeated until the engine answers. Its receipt is the only proof, so
// nothing here says "done" before it is in hand.

import { call, pause, retryDelay } from './api.js';
import * as clock from './clock.js';
import { ask, openDialog, tell } from './dialog.js';
import { html } from './html.js';
import { linkUp } from './live.js';
import { together } from './material.js';
import { explain, t } from './words.js';

/**
 * Asks and hands in; resolves to the receipt, or null when the candidate goes on writing or the page must do something
 * else. `go(item)` leads to one of the items that are open.
 */
export async function handIn(app, { items, journal, autosave, onRefused, go }) {
  const { earliest_submit_ms } = app.view.rules;
  if (clock.now() < earliest_submit_ms) return tooEarly(earliest_submit_ms);
  if (!(await sure(items, journal, go))) return null;
  return send(app, { journal, autosave, onRefused });
}

async function tooEarly(earliest_submit_ms) {
  const text = t('hand_in.early', { time: clock.wallClock(earliest_submit_ms) });
  await ask(t('hand_in.title'), html`<p>${text}</p>`, [{ name: 'ok', text: t('hand_in.go_on'), kind: 'main' }]);
  return null;
}

async function sure(items, journal, go) {
  const lists = {
    open: items.filter((item) => !journal.answered(item.id)),
    flagged: items.filter((item) => journal.flagged(item.id)),
    trouble: items.filter((item) => ['invalid', 'refused'].includes(journal.state(item.id))),
  };
  const { open, trouble } = lists;
  const review = (close) => html`<ul class="tallies">
      <li class="tally-answered">${t('hand_in.answered', { n: items.length - open.length })}</li>
      ${Object.entries(lists).map(([name, found]) => found.length > 0 && html`<li class=${`tally-${name}`}>${t(`hand_in.${name}`, { n: found.length })}
        <div class="tally-items">${together(found, (item) => html`<button type="button" class="cell" aria-label=${t('exam.number', { number: item.number })}
          onclick=${() => close(`item ${item.id}`)}>${item.number}</button>`)}</div></li>`)}
    </ul>
    ${open.length + lists.flagged.length + trouble.length > 0 && html`<p class="hint">${t('hand_in.look')}</p>`}
    <p>${t('hand_in.final')}</p>`;
  const first = await ask(t('hand_in.title'), review, choices('hand_in.yes'), { wide: true });
  if (first?.startsWith('item ')) go(items.find(({ id }) => `item ${id}` === first));
  if (first !== 'yes') return false;
  if (open.length + trouble.length === 0) return true;
  const lacks = html`${open.length > 0 && html`<p>${t('hand_in.sure', { n: open.length })}</p>`}
    ${trouble.length > 0 && html`<p>${t('hand_in.sure_trouble', { n: trouble.length })}</p>`}`;
  return (await ask(t('hand_in.sure_title'), lacks, choices('hand_in.sure_yes'))) === 'yes';
}

const choices = (yes) => [{ name: 'no', text: t('hand_in.go_on'), kind: 'main' }, { name: 'yes', text: t(yes), kind: 'grave' }];

async function send(app, { journal, autosave, onRefused }) {
  const waiting = new AbortController();
  const sheet = sendingSheet(() => waiting.abort());
  try {
    for (let failures = 0; ; ) {
      await Promise.race([autosave.drained(), aborted(waiting.signal)]);
      if (waiting.signal.aborted) return null;
      try {
        return await call('POST', '/v1/sitting/submit', { token: app.token, json: { seq: journal.acknowledged } });
      } catch (fault) {
        if (fault.code === 'submit.behind') journal.sendAgain();
        else if (fault.code === 'submit.too_early') return tooEarly(fault.body.earliest_submit_ms ?? app.view.rules.earliest_submit_ms);
        else if (!fault.transient) return refusedFor(fault, onRefused);
        await pause(retryDelay(failures, fault), waiting.signal);
        failures += 1;
      }
    }
  } finally {
    sheet.close();
  }
}

async function refusedFor(fault, onRefused) {
  if (fault.code === 'submit.closed') onRefused({ code: 'autosave.closed' });
  else if (fault.status === 401 || fault.code === 'sitting.superseded') onRefused(fault);
  else await tell(t('hand_in.title'), html`<p>${explain(fault)}</p>`);
  return null;
}

function sendingSheet(onCancel) {
  const Line = () => html`<p role="status">${t(linkUp.value ? 'hand_in.sending' : 'hand_in.waiting')}</p>`;
  const sheet = openDialog(html`<${Line} /><div class="actions"><button type="button" onclick=${onCancel}>${t('hand_in.cancel')}</button></div>`,
    { 'aria-label': t('hand_in.title') });
  sheet.dialog.addEventListener('cancel', (event) => event.preventDefault());
  return sheet;
}

const aborted = (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve));
