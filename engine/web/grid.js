// The list of items: one button each, by section; shows what is answered, flagged or in trouble. One tab stop, arrows move.

import { html, useEffect, useRef } from './html.js';
import { together } from './material.js';
import { t } from './words.js';

export function Grid({ exam }) {
  const { items } = exam;

  function move(event) {
    const cells = [...event.currentTarget.querySelectorAll('.cell')];
    const focused = cells.indexOf(document.activeElement);
    if (focused === -1) return;
    const next = { ArrowRight: () => cells[focused + 1], ArrowLeft: () => cells[focused - 1], Home: () => cells[0], End: () => cells.at(-1),
      ArrowDown: () => inNextRow(cells, cells[focused], 1), ArrowUp: () => inNextRow(cells, cells[focused], -1) }[event.key];
    if (!next) return;
    event.preventDefault();
    next()?.focus();
  }

  const legend = (name) => html`<li><span class=${`cell sample ${name === 'flag' ? 'flagged' : name}`} aria-hidden="true" />${t(`exam.legend_${name}`)}</li>`;
  return html`<nav class="grid" aria-label=${t('exam.list')}>
    <div class="grid-head"><h2>${t('exam.list')}</h2><${Tally} exam=${exam} /></div>
    <div class="grid-cells" onkeydown=${move}>
      ${[...exam.sections].map(([section, own]) => html`<section class="cells" key=${section.id}><h3>${section.title}</h3>
        <div class="cell-rows">${together(own, (item) => html`<${Cell} key=${item.id} exam=${exam} item=${item} />`)}</div></section>`)}
    </div>
    <ul class="legend">${['answered', 'open', 'flag', 'trouble'].map(legend)}
      ${items.some((item) => item.group) && html`<li><span class="together" aria-hidden="true"><i class="cell sample" /><i class="cell sample" /></span>${t('exam.legend_shared')}</li>`}</ul>
  </nav>`;
}

// Apart from the list, which every change would draw again.
function Tally({ exam: { items, followed } }) {
  const journal = followed.any();
  const answered = items.filter((item) => journal.answered(item.id)).length;
  return html`<p class="tally">${t('exam.answered', { answered, count: items.length })}</p>`;
}

// How many stand in a row depends on the screen; below the last row of a section comes the next section.
function inNextRow(cells, from, down) {
  const at = from.getBoundingClientRect();
  const beyond = cells.map((cell) => [cell, cell.getBoundingClientRect()]).filter(([, { top }]) => (top - at.top) * down > 1);
  const far = ([, { top, left }]) => Math.abs(top - at.top) * 10_000 + Math.abs(left - at.left);
  return beyond.sort((a, b) => far(a) - far(b))[0]?.[0];
}

function Cell({ exam, item }) {
  const button = useRef(null);
  const journal = exam.followed.of(item.id);
  const current = exam.current.value === item;
  const answered = journal.answered(item.id);
  const flagged = journal.flagged(item.id);
  const state = journal.state(item.id);
  const trouble = state === 'invalid' || state === 'refused' || journal.aside(item.id) !== undefined;
  const marks = ['cell', answered && 'answered', flagged && 'flagged', trouble && 'trouble', state === 'local' && 'local'];
  const said = [t('exam.number', { number: item.number }), t(answered ? 'cell.answered' : 'cell.open'), flagged && t('cell.flag'),
    trouble && t('exam.legend_trouble')];
  useEffect(() => {
    if (current) button.current.scrollIntoView({ block: 'nearest' });
  }, [current]);
  return html`<button type="button" ref=${button} class=${marks.filter(Boolean).join(' ')} data-item=${item.id} tabindex=${current ? 0 : -1}
    aria-current=${current ? 'true' : null} aria-label=${said.filter(Boolean).join('，')} onclick=${() => exam.go(item)}>${item.number}</button>`;
}
