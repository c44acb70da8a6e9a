// What is seen of the exam: the bar above, one item on the desk, the list beside it, whatever has to be said over them.

import { Bar } from './bar.js';
import { EndedSheet, ReadonlySheet } from './closing.js';
import { CopyHint } from './copying.js';
import { Grid } from './grid.js';
import { html } from './html.js';
import { Material } from './material.js';
import { Question, Standing } from './question.js';
import { Watermark } from './watermark.js';
import { t } from './words.js';

/** The screen's component; `exam` is what exam.js made. */
export function Desk({ exam }) {
  const item = exam.current.value;
  const reason = exam.reason.value;
  return html`<${Bar} exam=${exam} />
    <div class="room">
      <div class="left-side">
        <${Banner} exam=${exam} />
        ${reason ? html`<${ReadonlySheet} exam=${exam} reason=${reason} />` : exam.ended.value && html`<${EndedSheet} exam=${exam} />`}
        <main class="desk" tabindex=${exam.mode() ? 0 : -1}>
          ${item.group && html`<${Material} key=${item.group.id} group=${item.group} figures=${exam.figures} />`}
          <${Question} key=${`${item.id} ${exam.built.value}`} exam=${exam} item=${item} />
        </main>
        <${Walk} exam=${exam} item=${item} />
      </div>
      <${Grid} exam=${exam} />
    </div>
    <${CopyHint} />
    <${Watermark} candidate=${exam.app.view.candidate} />`;
}

// What has just become true of the time or the answers, until it is read.
function Banner({ exam }) {
  const said = exam.announced.value;
  const read = () => {
    exam.announced.value = null;
    exam.focusHeading();
  };
  return html`<div class="banner" role="alert">${said && html`<p>${said()}</p><button type="button" class="quiet" onclick=${read}>${t('dialog.close')}</button>`}</div>`;
}

function Walk({ exam, item }) {
  const { items } = exam;
  const journal = exam.followed.of(item.id);
  const flagged = journal.flagged(item.id);
  return html`<div class="walk">
    <${Standing} exam=${exam} item=${item} />
    <button type="button" id="previous" disabled=${item === items[0]} onclick=${() => exam.step(-1)}>← ${t('exam.previous')}</button>
    <button type="button" id="flag" aria-pressed=${flagged} disabled=${exam.mode() !== null} onclick=${() => journal.toggleFlag(item.id)}>
      <span aria-hidden="true">⚑ </span>${t(flagged ? 'exam.unflag' : 'exam.flag')}</button>
    <button type="button" id="next" disabled=${item === items.at(-1)} onclick=${() => exam.step(1)}>${t('exam.next')} →</button>
  </div>`;
}
