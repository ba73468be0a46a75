/**
 * `<facext-analyzer>`: the whole tool as one element. State lives in `controller.ts`, views in `view-*.ts`, wording in `words-*.ts`.
 *
 * Its attributes, methods and events are in `widget.ts`. Slots: `intro` (in place of the steps that are shown before a photo is chosen), `gallery`
 * (below them), `truth` (beside the answers), `footer`. Text from the model, file names and error details reach the document only as text nodes.
 */
import { html, nothing, type PropertyValues } from 'lit';
import { overlay, saving } from '#lazy';
import { Announcer } from './announcer';
import { BoxTool } from './box-tool';
import type { Controller } from './controller';
import { download, exported, json, stem } from './export-report';
import { Fault } from './fault';
import type { Overlay, OverlayMask, Scene } from './overlay';
import { partRaster } from './parts';
import type { Box, Report } from './protocol';
import type { Point } from './region';
import { TOOLS, type Tool } from './region-state';
import { styles } from './styles';
import { Tools } from './tools';
import { askCard } from './view-ask';
import { deviceLine, modelCard } from './view-model';
import { emptyState, photoCard, toolsCard, type PhotoHandlers } from './view-photo';
import { introCard, limitsCard, markNumber, resultCards } from './view-result';
import type { SaveHandlers, SaveKind } from './view-save';
import { fetchPhoto, sourceCard } from './view-source';
import { placeSplit } from './view-split';
import { Viewport } from './viewport';
import { Widget } from './widget';
import { TAGS, errorWords, languageOf, partName } from './words';

type Saving = Awaited<ReturnType<typeof saving>>;

/**
 * Checks a photo of a face for traces of manipulation, inside the browser.
 *
 * @tag facext-analyzer
 * @attr {string} weights-base - Directory of the weights; default `weights/` in `asset-base` if that is set, else beside the page.
 * @attr {string} asset-base - Directory of `worker.js`, `facext_bg.wasm.gz` and `facext_cpu.wasm.gz`; default: where the bundler put them.
 * @attr {"auto"|"cpu"|"gpu"} device - What computes.
 * @attr {string} src - Address of a photo that the person is asked about.
 * @attr {"en"|"zh"} lang - Language; default: that of the nearest element that has one.
 * @attr {boolean} whole-page - Photos may be dropped and pasted anywhere on the page.
 * @slot intro - In place of the steps that are shown before a photo is chosen.
 * @slot truth - Beside the answers.
 * @slot gallery - Below the steps, while there is no photo.
 * @slot footer - Below everything.
 * @csspart layout - The grid of photo, results and questions.
 * @csspart drop - The empty state.
 * @csspart photo - The photo's card.
 * @csspart tools-card - The tools, the marks, and what the photo's file says.
 * @csspart source - The question about `src`.
 * @csspart model - The model's card, until it is ready.
 * @csspart result - A card for each answer.
 * @csspart problem - What went wrong.
 * @cssprop --accent - Buttons, links, what is selected.
 * @cssprop --accent-ink - Text on it.
 * @cssprop --ink - Text.
 * @cssprop --soft - Text of lesser weight.
 * @cssprop --card - Ground of the cards.
 * @cssprop --line - Borders.
 * @cssprop --radius - Corners of the cards.
 * @cssprop --gap - Space between cards.
 */
export class FacextAnalyzer extends Widget {
  static override styles = styles;
  static override properties = {
    lang: {},
    dragging: { type: Boolean, reflect: true },
    status: { state: true },
  };

  declare lang: string;
  declare dragging: boolean;
  declare status: string;

  private readonly announcer = new Announcer((text) => (this.status = text));
  /** Null until its file is here, which is asked for when the element is there. */
  private overlay: Overlay | null = null;
  private readonly resizes = new ResizeObserver(() => this.paint());
  private listeners: AbortController | null = null;
  private viewFailed = '';
  private painting = 0;
  private readonly boxTool = new BoxTool({
    size: () => this.size(),
    box: () => this.controller?.region.box ?? null,
    start: () => {
      const { width, height } = this.size();
      const [x, y, w, h] = this.controller?.zoomFace ?? [0, 0, width, height];
      return [x + w * 0.3, y + h * 0.3, w * 0.4, h * 0.4];
    },
    // With the box of before, so that Escape brings nothing new.
    change: (box) => this.controller?.region.set({ draft: box && this.boxTool.dragging ? { kind: 'box', box } : null }),
    commit: (box, step, event) => {
      const mode = event.altKey ? 'take' : event.shiftKey ? 'add' : (this.controller?.region.mode ?? 'new');
      this.controller?.mark({ kind: 'box', box, mode: step ? 'new' : mode }, step);
    },
  });
  private readonly viewport = new Viewport(() => {
    const frame = this.renderRoot.querySelector<HTMLElement>('.frame');
    return frame?.parentElement ? { frame, stage: frame.parentElement } : null;
  });
  private readonly tools = new Tools({
    region: () => this.controller?.region ?? null,
    size: () => this.size(),
    unit: () => this.size().width / Math.max(1, this.canvas?.getBoundingClientRect().width ?? 1),
    viewport: this.viewport,
    box: this.boxTool,
    look: (event, point) => this.look(event, point),
    mark: (mark) => this.controller?.mark(mark),
    moved: () => this.moved(),
    paint: () => this.paintSoon(),
  });
  private readonly handlers: PhotoHandlers = {
    pick: () => this.pick(),
    imageLoaded: (e) => this.onImage(e),
    imageFailed: () => ((this.viewFailed = this.controller?.photo?.url ?? ''), this.requestUpdate()),
    pointer: (e) => this.controller?.photo?.opened && this.tools.pointer(e),
    wheel: { handleEvent: (e) => this.onWheel(e), passive: false },
    key: (e) => this.tools.key(e),
    keyUp: (e) => (this.tools.keyUp(e), e.key.toLowerCase() === 'x' && this.controller?.hiding && this.controller.setView({ hiding: false })),
    shortcut: (e) => this.onShortcut(e),
    blur: (e) => {
      if (e.relatedTarget && (e.currentTarget as HTMLElement).contains(e.relatedTarget as Node)) return;
      this.tools.release();
      if (this.controller?.hiding) this.controller.setView({ hiding: false });
    },
    exportPng: () => void this.exportPng(),
    tool: (tool) => this.setTool(tool),
    undo: () => this.step('undo'),
    redo: () => this.step('redo'),
    clear: () => (this.controller?.region.clear(), this.announcer.say(this.controller?.words.regionCleared ?? '')),
    zoom: (factor) => (this.viewport.zoom(factor), this.moved()),
    fit: () => (this.viewport.reset(), this.moved()),
    zoomFace: () => this.controller?.setZoomed(!this.controller.zoomed),
    face: (face) => this.controller?.setAsk({ face: this.controller.ask.face === face ? -1 : face }),
  };

  constructor() {
    super();
    this.lang = '';
    this.dragging = false;
    this.status = '';
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  /** Not when connected: properties that were set before the element was defined come in with the first update only. */
  protected override willUpdate(changed: PropertyValues): void {
    if (this.isConnected && !this.listeners) this.begin();
    if (changed.has('lang')) this.speak();
  }

  private begin(): void {
    const controller = this.attach((text) => this.announcer.say(text));
    this.speak();
    this.listeners = new AbortController();
    const options = { signal: this.listeners.signal };
    const target: EventTarget = this.wholePage ? window : this;
    target.addEventListener('dragover', (e) => this.onDragOver(e as DragEvent), options);
    target.addEventListener('dragleave', (e) => this.onDragLeave(e as DragEvent), options);
    target.addEventListener('drop', (e) => this.onDrop(e as DragEvent), options);
    target.addEventListener('paste', (e) => this.onPaste(e as ClipboardEvent), options);
    window.addEventListener('keydown', (e) => this.onEscape(e), options);
    this.renderRoot.addEventListener('transitionend', () => this.paint(), options);
    overlay().then(({ Overlay }) => ((this.overlay ??= new Overlay()), this.paint()), () => controller.fail(new Fault('program.missing')));
    if (controller.model.state === 'preparing') void controller.prepare();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.listeners?.abort();
    this.listeners = null;
    this.announcer.stop();
    this.resizes.disconnect();
    this.detach();
  }

  protected override render() {
    const c = this.controller;
    if (!c) return nothing;
    const w = c.words;
    return html`
      <p class="hidden" role="status" aria-live="polite" data-test="status">${this.status}</p>
      <input class="hidden" type="file" accept="image/jpeg,image/png,image/webp,image/*" tabindex="-1" aria-label=${w.choosePhoto} @change=${this.onPicked} />
      <div class="layout" part="layout">
        ${c.photo ? photoCard(c, this.handlers) : html`<div class="photo">${emptyState(w, () => this.pick())}</div>`}
        <div class="result column">
          ${this.problemCard(c)}
          ${c.notice ? html`<p class="card notice small" data-test="notice">${c.notice}</p>` : nothing}
          ${c.photo && this.viewFailed === c.photo.url ? html`<p class="card notice small">${w.cannotShow}</p>` : nothing}
          ${sourceCard(w, this.src, (url) => void this.fetchSource(url), () => (this.src = ''))}
          ${modelCard(c)} ${resultCards(c, this.saving)}
          ${c.photo ? nothing : html`<slot name="intro">${introCard(c)}</slot>`} <slot name="truth"></slot>
          ${c.photo ? nothing : html`<slot name="gallery"></slot>`} ${limitsCard(c)} ${deviceLine(c)}
        </div>
        ${c.photo ? toolsCard(c, this.handlers) : nothing} ${askCard(c, (box) => this.boxTool.fit(box))}
      </div>
      <slot name="footer"></slot>
    `;
  }

  private problemCard(c: Controller) {
    if (!c.problem) return nothing;
    const words = errorWords(c.words, c.problem.code);
    const device = c.problem.code.startsWith('device.');
    return html`<section class="card stack problem" part="problem" role="alert" data-test="problem" data-code=${c.problem.code}>
      <h2>${words.title}</h2>
      <p>${words.next}</p>
      <p class="code">${c.problem.code}${c.problem.detail ? `: ${c.problem.detail}` : ''}</p>
      <div class="row">
        ${device ? html`<button class="primary" data-test="use-cpu" @click=${() => c.useProcessor()}>${c.words.useProcessor}</button>` : nothing}
        <button data-test="dismiss" @click=${() => c.dismiss()}>${c.words.closeMessage}</button>
      </div>
    </section>`;
  }

  /** Takes the language of the element, or of the nearest one around it that has one. */
  private speak(): void {
    const c = this.controller;
    const language = languageOf(this.lang || this.closest('[lang]:not(facext-analyzer)')?.getAttribute('lang'));
    c?.setLanguage(language);
  }

  protected override updated(_changed: PropertyValues): void {
    const c = this.controller;
    const frame = this.renderRoot.querySelector('.frame');
    this.resizes.disconnect();
    if (frame) this.resizes.observe(frame);
    this.renderRoot.querySelector('.layout')?.setAttribute('lang', TAGS[c?.language ?? 'en']);
    if (c?.photo && c.photo.url !== this.lastPhoto) {
      this.lastPhoto = c.photo.url;
      this.overlay?.forget();
      this.viewport.reset();
    }
    this.zoom();
    this.paint();
    placeSplit(this.renderRoot, c?.split ?? null);
  }

  private lastPhoto = '';
  private facing: Box | null = null;

  /** Brings one face to the middle of the stage, or lets it go again. */
  private zoom(): void {
    const c = this.controller;
    const face = c?.zoomed ? c.zoomFace : null;
    if (face && c?.photo) this.viewport.show(face, c.photo.width);
    else if (this.facing) this.viewport.reset(true);
    this.facing = face;
  }

  /** The view was moved by hand: no face is followed any more. */
  private moved(): void {
    this.facing = null;
    if (this.controller?.zoomed) this.controller.setZoomed(false);
    this.paintSoon();
  }

  // ---- overlay ------------------------------------------------------------------------------------------------------------

  private get canvas(): HTMLCanvasElement | null {
    return this.renderRoot.querySelector('canvas');
  }

  private size(): { width: number; height: number } {
    return { width: this.controller?.photo?.width || 1, height: this.controller?.photo?.height || 1 };
  }

  private scene(): Scene | null {
    const c = this.controller;
    if (!c?.photo?.width || !c.photo.height) return null;
    const { region, run } = c;
    const masks: OverlayMask[] = (run?.faces ?? []).flatMap((face, f) =>
      face.masks.flatMap((mask, index) => (mask && !c.isHidden({ run: run!.id, face: f, mask: index }) ? [{ face: f, index, number: markNumber(run!, f, index), mask }] : [])),
    );
    const faces = c.photo.opened?.faces ?? [];
    const brush = region.tool === 'brush' || region.tool === 'eraser';
    const hover = region.hover;
    const maps = hover ? region.maps.filter((_, face) => (hover.face ?? face) === face) : [];
    return {
      ...this.size(),
      faces: c.hiding || faces.length < 2 ? [] : faces.map((face, i) => ({ box: face.box, name: c.words.face(i + 1) })),
      masks: c.hiding ? [] : masks,
      active: c.active,
      opacity: c.opacity,
      hatch: c.hatch,
      split: c.split,
      region: c.hiding ? null : region.raster,
      box: c.hiding ? null : region.box,
      draft: region.draft,
      part: hover && {
        key: `${hover.id} ${hover.face}`,
        name: partName(c.language, c.regions, hover.id),
        raster: (width, height) => partRaster(maps, c.regions, hover.id, this.size(), width, height),
      },
      cursor: region.cursor && region.tool !== 'look' && region.tool !== 'pan' ? { at: region.cursor, radius: brush ? region.radius : null } : null,
    };
  }

  private paint(): void {
    const scene = this.scene();
    if (this.canvas && scene) this.overlay?.paint(this.canvas, scene);
    placeSplit(this.renderRoot, this.controller?.split ?? null);
  }

  /** At most once for each frame, whatever number of pointer events there was. */
  private paintSoon(): void {
    if (this.painting) return;
    this.painting = requestAnimationFrame(() => ((this.painting = 0), this.paint()));
  }

  private onImage(event: Event): void {
    const image = event.target as HTMLImageElement;
    this.controller?.photoShown(image.naturalWidth, image.naturalHeight);
    this.paint();
  }

  /** The tool that only looks: what the pointer is on is lit, a tap keeps it. */
  private look(event: PointerEvent, [x, y]: Point): void {
    const c = this.controller;
    if (!c) return;
    if (event.type === 'pointerleave') return c.light(null);
    const scene = this.scene();
    const run = c.run;
    if (!scene || !run) return;
    const hit = this.overlay?.hit(scene, x, y) ?? null;
    const ref = hit && { run: run.id, face: hit.face, mask: hit.index };
    if (event.type === 'pointerup') c.pin(ref);
    else if (event.type === 'pointermove') c.light(ref);
  }

  /** Only with Ctrl, or where the photo has the focus: a page that embeds this must still scroll. A pinch on a trackpad comes as Ctrl and the wheel. */
  private onWheel(event: WheelEvent): void {
    if (!this.controller?.photo?.opened || !(event.ctrlKey || (this.shadowRoot?.activeElement === this.canvas && this.controller.region.tool !== 'look'))) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 15 : 1;
    this.viewport.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 300)), [event.clientX, event.clientY]);
    this.moved();
  }

  // ---- tools --------------------------------------------------------------------------------------------------------------

  private setTool(tool: Tool): void {
    this.tools.cancel();
    this.controller?.region.set({ tool, cursor: null, hover: null });
    // On a narrow screen the answers stand between the photo and its tools.
    this.canvas?.scrollIntoView({ block: 'nearest' });
    if (tool !== 'look' && tool !== 'pan') this.controller?.setAsk({ where: 'region' });
  }

  private step(what: 'undo' | 'redo'): void {
    const c = this.controller;
    if (c?.region[what]()) this.announcer.say(what === 'undo' ? c.words.undone : c.words.redone);
  }

  /** Keys while the photo or its tools have the focus; never while something is typed. */
  private onShortcut(event: KeyboardEvent): void {
    const c = this.controller;
    if (!c?.photo?.opened || event.defaultPrevented || (event.target as HTMLElement).matches('input, select, textarea')) return;
    const key = event.key.toLowerCase();
    const done = () => event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      if (key === 'z') done(), this.step(event.shiftKey ? 'redo' : 'undo');
      else if (key === 'y') done(), this.step('redo');
      return;
    }
    if (event.altKey) return;
    const tool = TOOLS.find((t) => c.words.tools[t].key.toLowerCase() === key) ?? (key === 'b' ? 'box' : undefined);
    if (tool) return this.setTool(tool);
    if (key === '[' || key === ']') return c.region.set({ radius: Math.round(key === ']' ? c.region.radius * 1.2 + 1 : c.region.radius / 1.2 - 1) });
    if (key === '+' || key === '=') return this.handlers.zoom(1.25);
    if (key === '-') return this.handlers.zoom(1 / 1.25);
    if (key === '0') return this.handlers.fit();
    if (key === 'x') return event.repeat ? undefined : c.setView({ hiding: true });
    if (key === 'delete' || key === 'backspace') return this.handlers.clear();
    if (key >= '1' && key <= '9' && Number(key) <= c.photo.opened.faces.length) this.handlers.face(Number(key) - 1);
  }

  // ---- files --------------------------------------------------------------------------------------------------------------

  private pick(): void {
    this.renderRoot.querySelector<HTMLInputElement>('input[type=file]')?.click();
  }

  private onPicked(event: Event): void {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    // Cleared, so that choosing the same file again is noticed.
    if (file) void this.controller?.choose(file);
    input.value = '';
  }

  private async fetchSource(url: URL): Promise<void> {
    this.src = '';
    try {
      await this.open(await fetchPhoto(url));
    } catch (thrown) {
      this.controller?.fail(new Fault('source.failed', `${url.host}: ${String(thrown)}`));
    }
  }

  private onDragOver(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.dragging = true;
  }

  private onDragLeave(event: DragEvent): void {
    const to = event.relatedTarget;
    if (!(to instanceof Node) || !(this.wholePage || this.contains(to) || this.renderRoot.contains(to))) this.dragging = false;
  }

  private onDrop(event: DragEvent): void {
    this.dragging = false;
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    void this.controller?.choose(file);
  }

  private onPaste(event: ClipboardEvent): void {
    const file = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith('image/')) ?? event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    void this.controller?.choose(file);
  }

  private onEscape(event: KeyboardEvent): void {
    const c = this.controller;
    if (event.key !== 'Escape' || !c) return;
    if (this.tools.cancel()) return;
    if (c.busy) c.stop();
    else if (c.isolated) c.isolate(c.isolated);
    else if (c.pinned) c.pin(null);
    else if (c.region.tool !== 'look') this.setTool('look');
  }

  /** With the name or the photo only as long as the person wants it; the next visit begins without. */
  private readonly saving: SaveHandlers = {
    options: { name: false, photo: false },
    change: (change) => (Object.assign(this.saving.options, change), this.requestUpdate()),
    save: (report, kind) => void this.save(exported(report, this.saving.options), kind),
  };

  private async save(report: Report, kind: SaveKind): Promise<void> {
    const name = stem(report);
    if (kind === 'json') return download(json(report), `${name}.json`);
    const how = await this.forSaving();
    if (!how) return;
    if (kind === 'coco') return download(json(how.coco(report)), `${name}-coco.json`);
    if (kind === 'page') return this.savePage(report, `${name}.html`, how);
    for (const [f, face] of report.faces.entries()) {
      for (const [m, mask] of face.masks.entries()) {
        const png = await how.maskPng(mask);
        if (png) download(png, `${name}-face-${f + 1}-mask-${m + 1}.png`);
      }
    }
  }

  private async forSaving(): Promise<Saving | null> {
    try {
      return await saving();
    } catch {
      this.controller?.fail(new Fault('program.missing'));
      return null;
    }
  }

  private savePage(report: Report, name: string, { maskCanvas, drawnAnew, reportPage }: Saving): void {
    const c = this.controller;
    if (!c) return;
    const image = this.renderRoot.querySelector<HTMLImageElement>('.frame img');
    const masks = report.faces.map((face) => face.masks.map((mask) => maskCanvas(mask, 360)?.toDataURL('image/png') ?? null));
    const photo = this.saving.options.photo && image ? drawnAnew(image) : null;
    download(new Blob([reportPage(report, c.words, c.language, { photo, masks })], { type: 'text/html' }), name);
  }

  private async exportPng(): Promise<void> {
    const scene = this.scene();
    const image = this.renderRoot.querySelector<HTMLImageElement>('.frame img');
    const hash = this.controller?.photo?.opened?.file.sha256;
    const blob = scene && image?.naturalWidth && hash ? await (await this.forSaving())?.pictureWithMarks(image, scene) : null;
    if (blob) download(blob, `facext-${hash!.slice(0, 8)}.png`);
  }
}

/** Registers the element; safe to call twice. */
export function define(name = 'facext-analyzer'): void {
  if (!customElements.get(name)) customElements.define(name, FacextAnalyzer);
}
