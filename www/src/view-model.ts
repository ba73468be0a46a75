/** The model's card: size before the download starts, progress in bytes, cancel, and the device with its reason. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { bytesWords, deviceWords, type Words } from './words';

export function modelCard(c: Controller): TemplateResult | typeof nothing {
  const model = c.model;
  const w = c.words;
  if (model.state === 'ready') return nothing;
  if (model.state === 'failed') {
    return html`<section class="card stack" part="model" aria-label=${w.model}>
      <p>${w.modelFailed}</p>
      <div><button class="primary" @click=${() => c.prepare()}>${w.tryAgain}</button></div>
    </section>`;
  }
  if (model.state === 'preparing') {
    return html`<section class="card" part="model" aria-label=${w.model}><p class="soft">${w.gettingReady}</p></section>`;
  }
  if (model.state === 'needed') {
    const partly = model.missing < model.total;
    // Everything is here, but the model did not start or was stopped while it did.
    if (model.missing === 0) {
      return html`<section class="card" part="model" aria-label=${w.model}>
        <button class="primary" data-test="download" @click=${() => c.load()}>${w.startModel}</button>
      </section>`;
    }
    return html`<section class="card stack" part="model" aria-label=${w.model}>
      <h2>${c.photo ? w.neededForPhoto : w.downloadOnce}</h2>
      <p class="soft small">${w.downloadWhy}</p>
      <div>
        <button class="primary" data-test="download" @click=${() => c.load()}>
          ${partly ? w.downloadRest(bytesWords(w, model.missing), bytesWords(w, model.total)) : w.download(bytesWords(w, model.missing))}
        </button>
      </div>
    </section>`;
  }
  return html`<section class="card stack" part="model" aria-label=${w.model}>
    <div class="head">
      <h2>${model.building ? w.startingModel : model.toFetch > 0 ? w.downloadingModel : w.loadingModel}</h2>
      <button data-test="cancel-download" @click=${() => c.cancelLoad()}>${w.cancel}</button>
    </div>
    ${model.building
      ? html`<progress aria-label=${w.startingModel}></progress>`
      : html`<progress aria-label=${w.model} max=${model.total} value=${model.loaded}></progress>`}
    <p class="soft small" data-test="bytes">
      ${w.loadedOf(bytesWords(w, model.loaded), bytesWords(w, model.total))}${model.building ? nothing : remaining(w, model)}
    </p>
  </section>`;
}

function remaining(w: Words, model: { toFetch: number; fetched: number; since: number }): string {
  const seconds = (performance.now() - model.since) / 1000;
  if (model.fetched <= 0 || model.fetched >= model.toFetch || seconds < 1.5) return '';
  const left = Math.ceil(((model.toFetch - model.fetched) * seconds) / model.fetched);
  return left > 90 ? w.minutesLeft(Math.round(left / 60)) : w.secondsLeft(left);
}

export function deviceLine(c: Controller): TemplateResult | typeof nothing {
  const device = c.session.device;
  return device ? html`<p class="small soft device-line" data-test="device">${deviceWords(c.words, device)}</p>` : nothing;
}
