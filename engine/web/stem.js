// Stems and options: plain text with line breaks and Markdown images, drawn as text. Figures come out of the opened paper
// as blob: URLs, each as soon as it is open; an SVG in an <img> runs no script.

import { openDialog } from './dialog.js';
import { html, signal } from './html.js';
import { t } from './words.js';

const IMAGE = /!\[([^\]\n]*)\]\(([^()\s]+)\)/g;

/**
 * name -> signal with the blob: URL of one of the paper's media; '' until it is open, null when it does not open. They are
 * opened one after another, until `left` aborts: a whole paper's at once would take a small machine's memory.
 */
export function figureUrls(media, left) {
  const figures = new Map(media.map(({ name }) => [name, signal('')]));
  (async () => {
    for (const { name, open } of media) {
      const blob = await open().catch((fault) => console.error(fault));
      if (left.aborted) return;
      figures.get(name).value = blob ? URL.createObjectURL(blob) : null;
    }
  })();
  return figures;
}

/** `text`: lines as they are, images as figures that can be enlarged unless `small` (inside a label). */
export function Stem({ text, figures, small = false }) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(IMAGE)) {
    const [whole, alt, name] = match;
    const url = figures.get(name)?.value ?? null;
    const figure = url !== null ? html`<${Figure} url=${url} alt=${alt} small=${small} />` : html`<span class="missing">${t('exam.figure_missing', { name })}</span>`;
    // A line break beside a figure is the figure's own block, not an empty line.
    nodes.push(text.slice(from, match.index).replace(/\n$/, ''), figure);
    from = match.index + whole.length;
    if (text[from] === '\n') from += 1;
  }
  return [...nodes, text.slice(from)].filter((node) => node !== '');
}

function Figure({ url, alt, small }) {
  const source = url ? { src: url } : {}; // an empty src would be a broken picture until the figure is open
  if (small) return html`<img class="option-figure" ...${source} alt=${alt} />`;
  return html`<figure><button type="button" class="figure" title=${t('exam.zoom')} aria-label=${`${alt}，${t('exam.zoom')}`}
    onclick=${() => url && enlarge(url, alt)}><img ...${source} alt="" /></button></figure>`;
}

/** After a label, whose figures are small and whose click chooses: a button that enlarges each of them. */
export function Enlargers({ text, figures, letter }) {
  const found = [...text.matchAll(IMAGE)].filter(([, , name]) => figures.get(name)?.value);
  return found.map(([, alt, name]) => html`<button type="button" class="quiet enlarger" onclick=${() => enlarge(figures.get(name).value, alt)}>
    ${t('exam.zoom_option', { letter })}</button>`);
}

function enlarge(url, alt) {
  const { dialog, close } = openDialog(html`<div class="zoomed"><img src=${url} alt=${alt} /></div>
    <div class="actions">
      <button type="button" class="twice" onclick=${({ currentTarget }) => currentTarget.setAttribute('aria-pressed', dialog.classList.toggle('twice'))}
        aria-pressed="false">${t('exam.zoom_more')}</button>
      <button type="button" class="main" onclick=${() => close()}>${t('exam.close')}</button></div>`, { class: 'zoom', 'aria-label': alt || t('exam.figure') });
  dialog.querySelector('.main').focus();
}
