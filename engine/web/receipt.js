// The receipt: shown, compared with this machine's answers, printed, saved as the JSON that the engine signed.

import { call, pause, retryDelay } from './api.js';
import { wallClock } from './clock.js';
import { Frame } from './frame.js';
import { html, signal } from './html.js';
import { openJournal } from './journal.js';
import { dropPassOf } from './pass.js';
import { hex } from './seal.js';
import { t } from './words.js';

/** Waits until the engine has a receipt; null when the token no longer counts or `signal` aborts. */
export async function fetchReceipt(token, signal) {
  for (let failures = 0; !signal?.aborted; failures += 1) {
    try {
      return await call('GET', '/v1/sitting/receipt', { token });
    } catch (fault) {
      if (fault.status === 401 || fault.code === 'sitting.superseded') return null;
      // Refused for now: the sitting is over, but its collection has not been written down yet.
      await pause(fault.transient ? retryDelay(failures, fault) : 400 + Math.random() * 800, signal);
    }
  }
  return null;
}

/** `undelivered` are the numbers of items whose last answers came too late. */
export function receiptScreen(app, receipt, { journal, undelivered = [] } = {}) {
  const agrees = signal(null);
  const stopping = new AbortController();
  if (journal) compare();
  dropPassOf(app.token);
  tidy();

  async function compare() {
    const delivered = journal.delivered().sort(([a], [b]) => (a < b ? -1 : 1));
    // Sorted arrays of strings, numbers and booleans: what JSON.stringify writes is the RFC 8785 form.
    const digest = hex(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(delivered))));
    agrees.value = digest === receipt.digest;
  }

  // Once everything is recorded, the next candidate at this machine finds nothing.
  async function tidy() {
    if (journal && !journal.holds) return journal.wipe(); // as mostly: a hall that ends at once asks for nothing more
    const kept = journal ?? (await openJournal(receipt.sitting_id));
    while (!stopping.signal.aborted) {
      const view = await call('GET', '/v1/sitting', { token: app.token }).catch(() => null);
      if (view && !journal) kept.merge(view);
      else if (view) kept.progress(view.generation, view.committed);
      if (view && !kept.holds) return kept.wipe();
      if (view && !kept.settling) return; // what never reached the engine stays here as evidence
      await pause(4_000 + Math.random() * 2_000, stopping.signal);
    }
  }

  function save() {
    const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: 'application/json' }));
    const anchor = document.createElement('a');
    Object.assign(anchor, { href: url, download: `receipt-${app.view.candidate.admission_ticket}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  function View() {
    const { candidate, title } = app.view;
    const submitted = receipt.state === 'submitted';
    const facts = [['confirm.name', candidate.name], ['confirm.ticket', candidate.admission_ticket], ['confirm.exam', title, 'whole'],
      ['receipt.state', t(submitted ? 'receipt.by_candidate' : 'receipt.by_engine')], ['receipt.time', wallClock(receipt.submitted_ms, true)],
      ['receipt.answered', t('receipt.answered_of', receipt)], ['receipt.sitting', receipt.sitting_id],
      ['receipt.digest', receipt.digest, 'whole proof'], ['receipt.signature', receipt.signature, 'whole proof'], ['receipt.key', receipt.key_id, 'whole proof']];
    const row = ([name, value, kind = '']) => html`<div class=${`row ${kind}`}><dt>${t(name)}</dt><dd>${value}</dd></div>`;
    const compared = agrees.value !== null && undelivered.length === 0;
    return html`<${Frame} app=${app} title=${t(submitted ? 'receipt.submitted' : 'receipt.collected')} wide>
      ${undelivered.length > 0 && html`<div class="notice grave" role="alert">
        <p>${t('ended.undelivered', { n: undelivered.length })}</p><p>${t('ended.items', { numbers: undelivered.join('、') })}</p></div>`}
      <section class="card receipt" aria-label=${t('receipt.title')}>
        <h2>${t('receipt.title')}</h2>
        <dl class="facts">${facts.map(row)}</dl>
        ${compared && html`<p class=${agrees.value ? 'agrees' : 'alert'} id="agrees">${t(agrees.value ? 'receipt.matches' : 'receipt.differs')}</p>`}
      </section>
      <div class="actions no-print">
        <button type="button" class="main" onclick=${() => print()}>${t('receipt.print')}</button>
        <button type="button" id="save-receipt" onclick=${save}>${t('receipt.save')}</button>
        <button type="button" onclick=${() => app.leave()}>${t('stop.back')}</button>
      </div>
      <p class="hint no-print">${t('receipt.leave')}</p>
    </${Frame}>`;
  }

  return { View, stop: () => stopping.abort() };
}
