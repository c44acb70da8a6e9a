// What several items share: their material stands beside the question and stays as it was left, unfolded here and scrolled
// there, as long as the candidate is among its items.

import { html } from './html.js';
import { Stem } from './stem.js';
import { t } from './words.js';

/** `group` of `arrange`, by the numbers of its items. */
export const sharedBy = (group) => t(group.first === group.last ? 'shared.one' : 'shared.name', group);

export function Material({ group, figures }) {
  return html`<details class="material" tabindex="-1" aria-labelledby="material-name" open>
    <summary><strong id="material-name">${sharedBy(group)}</strong><span class="fold">${t('shared.fold')}</span><span class="unfold">${t('shared.unfold')}</span></summary>
    <div class="stem"><${Stem} text=${group.stem} figures=${figures} /></div></details>`;
}

/** What `draw` makes of each of `items`, those side by side that share their material. */
export function together(items, draw) {
  const runs = [];
  for (const item of items) {
    if (item.group && item.group === runs.at(-1)?.[0].group) runs.at(-1).push(item);
    else runs.push([item]);
  }
  return runs.map((run) => {
    const { id, group } = run[0];
    return group ? html`<div class="together" role="group" key=${id} aria-label=${sharedBy(group)}>${run.map(draw)}</div>` : draw(run[0]);
  });
}
