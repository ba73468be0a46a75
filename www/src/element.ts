/**
 * `<facext-analyzer>`: the whole tool as one element. State lives in `controller.ts`, views in `view-*.ts`, wording in `words.ts`.
 *
 * Its attributes, methods and events are in `widget.ts`. Slots: `intro` (in place of the steps that are shown before a photo is chosen) and
 * `footer`. Text from the model, file names and error details reach the document only as text nodes.
 */
import { html, nothing, type PropertyValues } from 'lit';
import { Announcer } from './announcer';
import { BoxTool } from './box-tool';
import type { Controller } from './controller';
import { Fault } from './fault';
import { Overlay, type OverlayMask, type Scene } from './overlay';
import type { Run } from './run';
import { styles } from './styles';
import { askCard } from './view-ask';
import { deviceLine, modelCard } from './view-model';
import { emptyState, photoCard } from './view-photo';
import { introCard, limitsCard, markNumber, resultCards } from './view-result';
import { fetchPhoto, sourceCard } from './view-source';
import { Widget } from './widget';
import { errorWords } from './words';

/**
 * Checks a photo of a face for traces of manipulation, inside the browser.
 *
 * @tag facext-analyzer
 * @attr {string} weights-base - Directory of the weights; default `weights/` in `asset-base` if that is set, else beside the page.
 * @attr {string} asset-base - Directory of `worker.js` and `facext_bg.wasm`; default: where the bundler put them.
 * @attr {"auto"|"cpu"|"gpu"} device - What computes.
 * @attr {string} src - Address of a photo that the person is asked about.
 * @attr {boolean} whole-page - Photos may be dropped and pasted anywhere on the page.
 * @slot intro - In place of the steps that are shown before a photo is chosen.
 * @slot footer - Below everything.
 * @csspart layout - The grid of photo, results and questions.
 * @csspart drop - The empty state.
 * @csspart photo - The photo's card.
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
    dragging: { type: Boolean, reflect: true },
    status: { state: true },
  };

  declare dragging: boolean;
  declare status: string;

  private readonly announcer = new Announcer((text) => (this.status = text));
  private readonly overlay = new Overlay();
  private readonly resizes = new ResizeObserver(() => this.paint());
  private listeners: AbortController | null = null;
  private viewFailed = '';
  private readonly boxTool = new BoxTool({
    size: () => ({ width: this.controller?.photo?.width || 1, height: this.controller?.photo?.height || 1 }),
    box: () => this.controller?.box ?? null,
    start: () => {
      const [x, y, w, h] = this.controller?.zoomFace ?? [0, 0, this.controller?.photo?.width ?? 1, this.controller?.photo?.height ?? 1];
      return [x + w * 0.3, y + h * 0.3, w * 0.4, h * 0.4];
    },
    change: (box) => this.controller?.draftBox(box),
    commit: (box) => this.controller?.setBox(box),
  });

  constructor() {
    super();
    this.dragging = false;
    this.status = '';
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  /** Not when connected: properties that were set before the element was defined come in with the first update only. */
  protected override willUpdate(): void {
    if (this.isConnected && !this.listeners) this.begin();
  }

  private begin(): void {
    const controller = this.attach((text) => this.announcer.say(text));
    this.listeners = new AbortController();
    const options = { signal: this.listeners.signal };
    const target: EventTarget = this.wholePage ? window : this;
    target.addEventListener('dragover', (e) => this.onDragOver(e as DragEvent), options);
    target.addEventListener('dragleave', (e) => this.onDragLeave(e as DragEvent), options);
    target.addEventListener('drop', (e) => this.onDrop(e as DragEvent), options);
    target.addEventListener('paste', (e) => this.onPaste(e as ClipboardEvent), options);
    window.addEventListener('keydown', (e) => this.onEscape(e), options);
    this.renderRoot.addEventListener('transitionend', () => this.paint(), options);
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
    return html`
      <p class="hidden" role="status" aria-live="polite" data-test="status">${this.status}</p>
      <input class="hidden" type="file" accept="image/jpeg,image/png,image/webp,image/*" tabindex="-1" aria-label="Photo" @change=${this.onPicked} />
      <div class="layout" part="layout">
        ${c.photo
          ? html`${photoCard(c, {
              pick: () => this.pick(),
              imageLoaded: (e) => this.onImage(e),
              imageFailed: () => ((this.viewFailed = c.photo?.url ?? ''), this.requestUpdate()),
              pointer: (e) => this.onPointer(e),
              key: (e) => this.boxTool.key(e),
            })}`
          : html`<div class="photo">${emptyState(() => this.pick())}</div>`}
        <div class="result column">
          ${this.problemCard(c)}
          ${c.notice ? html`<p class="card notice small" data-test="notice">${c.notice}</p>` : nothing}
          ${c.photo && this.viewFailed === c.photo.url ? html`<p class="card notice small">This browser cannot show the photo, but it can be checked.</p>` : nothing}
          ${sourceCard(this.src, (url) => void this.fetchSource(url), () => (this.src = ''))}
          ${modelCard(c)} ${resultCards(c, (run) => this.save(run))}
          ${c.photo ? nothing : html`<slot name="intro">${introCard()}</slot>`} ${limitsCard()} ${deviceLine(c)}
        </div>
        ${askCard(c, (box) => this.boxTool.fit(box))}
      </div>
      <slot name="footer"></slot>
    `;
  }

  private problemCard(c: Controller) {
    if (!c.problem) return nothing;
    const words = errorWords(c.problem.code);
    const device = c.problem.code.startsWith('device.');
    return html`<section class="card stack problem" part="problem" role="alert" data-test="problem" data-code=${c.problem.code}>
      <h2>${words.title}</h2>
      <p>${words.next}</p>
      <p class="code">${c.problem.code}${c.problem.detail ? `: ${c.problem.detail}` : ''}</p>
      <div class="row">
        ${device ? html`<button class="primary" data-test="use-cpu" @click=${() => c.useProcessor()}>Use the processor</button>` : nothing}
        <button data-test="dismiss" @click=${() => c.dismiss()}>Close this message</button>
      </div>
    </section>`;
  }

  protected override updated(_changed: PropertyValues): void {
    const frame = this.renderRoot.querySelector('.frame');
    this.resizes.disconnect();
    if (frame) this.resizes.observe(frame);
    this.zoom();
    this.paint();
  }

  /** Brings one face to the middle of the stage. By the style object: the page's policy forbids style attributes. */
  private zoom(): void {
    const frame = this.renderRoot.querySelector<HTMLElement>('.frame');
    const stage = frame?.parentElement;
    const c = this.controller;
    if (!frame || !stage || !c?.photo) return;
    const face = c.zoomed ? c.zoomFace : null;
    if (!face || !frame.offsetWidth) return void (frame.style.transform = '');
    const shown = frame.offsetWidth / c.photo.width;
    const [x, y, w, h] = face.map((v) => v * shown) as [number, number, number, number];
    const scale = Math.min(8, Math.max(1, Math.min(stage.clientWidth / (w * 1.5), stage.clientHeight / (h * 1.5))));
    const dx = stage.clientWidth / 2 - frame.offsetLeft + stage.offsetLeft - (x + w / 2) * scale;
    const dy = stage.clientHeight / 2 - frame.offsetTop + stage.offsetTop - (y + h / 2) * scale;
    frame.style.transform = `translate(${dx}px, ${dy}px) scale(${scale})`;
  }

  // ---- overlay ------------------------------------------------------------------------------------------------------------

  private scene(): Scene | null {
    const c = this.controller;
    if (!c?.photo?.width || !c.photo.height) return null;
    const run = c.run;
    const masks: OverlayMask[] = (run?.faces ?? []).flatMap((face, f) =>
      face.masks.flatMap((mask, index) => (mask ? [{ face: f, index, number: markNumber(run!, f, index), mask }] : [])),
    );
    return {
      width: c.photo.width,
      height: c.photo.height,
      faces: c.photo.opened?.faces.map((face) => face.box) ?? [],
      masks,
      active: c.active,
      opacity: c.opacity,
      box: c.box,
    };
  }

  private paint(): void {
    const canvas = this.renderRoot.querySelector('canvas');
    const scene = this.scene();
    if (canvas && scene) this.overlay.paint(canvas, scene);
  }

  private onImage(event: Event): void {
    const image = event.target as HTMLImageElement;
    this.controller?.photoShown(image.naturalWidth, image.naturalHeight);
    this.paint();
  }

  private onPointer(event: PointerEvent): void {
    const c = this.controller;
    if (!c) return;
    if (c.drawing) {
      if (event.type === 'pointerdown') this.boxTool.down(event);
      else if (event.type === 'pointermove') this.boxTool.move(event);
      else if (event.type === 'pointerup') this.boxTool.up(event);
      else if (event.type === 'pointercancel') this.boxTool.cancel();
      return;
    }
    if (event.type === 'pointerleave') return c.light(null);
    const scene = this.scene();
    const run = c.run;
    if (!scene || !run) return;
    const shown = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = ((event.clientX - shown.left) / shown.width) * scene.width;
    const y = ((event.clientY - shown.top) / shown.height) * scene.height;
    const hit = this.overlay.hit(scene, x, y);
    const ref = hit && { run: run.id, face: hit.face, mask: hit.index };
    if (event.type === 'pointerup') c.pin(ref);
    else if (event.type === 'pointermove') c.light(ref);
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
    if (this.boxTool.cancel()) return;
    if (c.drawing) {
      c.setBox(null);
      c.setDrawing(false);
    } else if (c.pinned) c.pin(null);
    else c.stop();
  }

  private save(run: Run): void {
    if (!run.report) return;
    const blob = new Blob([JSON.stringify(run.report, null, 2), '\n'], { type: 'application/json' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `facext-${run.report.file.sha256.slice(0, 8)}.json`;
    link.click();
    // Some browsers read the blob only after the click has returned.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

/** Registers the element; safe to call twice. */
export function define(name = 'facext-analyzer'): void {
  if (!customElements.get(name)) customElements.define(name, FacextAnalyzer);
}
