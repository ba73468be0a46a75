/** The concept tree as a list: what has the focus or the pointer is lit up on the photo; Enter, Space or a click choose it. */
import { html, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import type { Region } from './protocol';
import { partName } from './words';

interface Row {
  region: Region;
  depth: number;
}

/** The regions in tree order with their depth; a region whose parent is not selectable counts as a root. */
export function tree(regions: readonly Region[]): Row[] {
  const ids = new Set(regions.map((r) => r.id));
  const out: Row[] = [];
  const walk = (parent: string | null, depth: number) => {
    for (const region of regions) {
      const own = region.parent !== null && ids.has(region.parent) ? region.parent : null;
      if (own !== parent || depth > 8) continue;
      out.push({ region, depth });
      walk(region.id, depth + 1);
    }
  };
  walk(null, 0);
  return out;
}

export function partTree(c: Controller): TemplateResult {
  const r = c.region;
  const rows = tree(c.regions);
  const at = rows.some((row) => row.region.id === r.treeAt) ? r.treeAt : (r.part ?? rows[0]?.region.id ?? '');
  const face = c.ask.face >= 0 ? c.ask.face : null;
  const light = (id: string | null) => () => r.set({ hover: id === null ? null : { id, face } });
  const choose = (id: string, event: { shiftKey: boolean; altKey: boolean }) => {
    c.mark({ kind: 'part', id, face: r.maps.length > 1 ? face : null, mode: event.altKey ? 'take' : event.shiftKey ? 'add' : r.mode });
    c.say(c.words.partChosen(partName(c.language, c.regions, id)));
  };
  return html`<ul class="parts" role="tree" aria-label=${c.words.partsTitle} aria-multiselectable="true" data-test="parts" @keydown=${(e: KeyboardEvent) => key(e, rows, at, choose)}>
    ${rows.map(({ region, depth }) => html`<li
      role="treeitem" class="depth-${Math.min(depth, 4)}" aria-level=${depth + 1} aria-selected=${r.has(region.id)} tabindex=${region.id === at ? 0 : -1}
      data-test="part" data-id=${region.id}
      @focus=${() => r.set({ treeAt: region.id, hover: { id: region.id, face } })} @blur=${light(null)}
      @pointerenter=${light(region.id)} @pointerleave=${light(null)}
      @click=${(e: MouseEvent) => (r.set({ treeAt: region.id }), choose(region.id, e))}
    >${partName(c.language, c.regions, region.id)}</li>`)}
  </ul>`;
}

function key(event: KeyboardEvent, rows: Row[], at: string, choose: (id: string, event: KeyboardEvent) => void): void {
  const index = rows.findIndex((row) => row.region.id === at);
  const row = rows[index];
  if (!row || event.ctrlKey || event.metaKey) return;
  const parent = rows.findLastIndex((other, i) => i < index && other.depth < row.depth);
  const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: rows.length - 1, ArrowLeft: parent, ArrowRight: (rows[index + 1]?.depth ?? 0) > row.depth ? index + 1 : index }[event.key];
  if (to === undefined && event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  if (to === undefined) return choose(at, event);
  (event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role=treeitem]')[Math.max(0, Math.min(to, rows.length - 1))]?.focus();
}
