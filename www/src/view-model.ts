/** The model's card: size before the download starts, progress in bytes, cancel, and the device with its reason. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Controller } from './controller';
import { bytesWords, deviceWords } from './words';

export function modelCard(c: Controller): TemplateResult | typeof nothing {
  const model = c.model;
  if (model.state === 'ready') return nothing;
  if (model.state === 'failed') {
    return html`<section class="card stack" part="model" aria-label="Model">
      <p>The model could not be prepared.</p>
      <div><button class="primary" @click=${() => c.prepare()}>Try again</button></div>
    </section>`;
  }
  if (model.state === 'preparing') {
    return html`<section class="card" part="model" aria-label="Model"><p class="soft">Getting ready …</p></section>`;
  }
  if (model.state === 'needed') {
    const partly = model.missing < model.total;
    // Everything is here, but the model did not start or was stopped while it did.
    if (model.missing === 0) {
      return html`<section class="card" part="model" aria-label="Model">
        <button class="primary" data-test="download" @click=${() => c.load()}>Start the model</button>
      </section>`;
    }
    return html`<section class="card stack" part="model" aria-label="Model">
      <h2>${c.photo ? 'The model is needed to check this photo' : 'Download the model once'}</h2>
      <p class="soft small">
        It runs in this browser, so that your photos never have to leave it. It is kept here for next time, also without a connection.
      </p>
      <div>
        <button class="primary" data-test="download" @click=${() => c.load()}>
          ${partly ? `Download the rest (${bytesWords(model.missing)} of ${bytesWords(model.total)})` : `Download the model (${bytesWords(model.missing)})`}
        </button>
      </div>
    </section>`;
  }
  return html`<section class="card stack" part="model" aria-label="Model">
    <div class="head">
      <h2>${model.building ? 'Starting the model' : model.toFetch > 0 ? 'Downloading the model' : 'Loading the model'}</h2>
      <button data-test="cancel-download" @click=${() => c.cancelLoad()}>Cancel</button>
    </div>
    ${model.building
      ? html`<progress aria-label="Starting the model"></progress>`
      : html`<progress aria-label="Model" max=${model.total} value=${model.loaded}></progress>`}
    <p class="soft small" data-test="bytes">
      ${bytesWords(model.loaded)} of ${bytesWords(model.total)}${model.building ? nothing : remaining(model)}
    </p>
  </section>`;
}

function remaining(model: { toFetch: number; fetched: number; since: number }): string {
  const seconds = (performance.now() - model.since) / 1000;
  if (model.fetched <= 0 || model.fetched >= model.toFetch || seconds < 1.5) return '';
  const left = Math.ceil(((model.toFetch - model.fetched) * seconds) / model.fetched);
  return left > 90 ? `, about ${Math.round(left / 60)} minutes left` : `, about ${left} seconds left`;
}

export function deviceLine(c: Controller): TemplateResult | typeof nothing {
  const device = c.session.device;
  return device ? html`<p class="small soft device-line" data-test="device">Computed on: ${deviceWords(device)}.</p>` : nothing;
}
