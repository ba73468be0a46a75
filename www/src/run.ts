/**
 * One question and its answer as it grows: a pure reducer from engine events to what the page shows.
 *
 * While the answer streams, phrases arrive piece by piece and before their masks; when the report is there it replaces everything that was streamed.
 */
import type { Band, Box, EngineEvent, MaskOut, Report, Request, Stage } from './protocol';
import type { Mark } from './region';

export interface Piece {
  text: string;
  /** Index into `masks`; null for plain text. */
  mask: number | null;
}

export interface FaceLive {
  box: Box | null;
  verdict: { score: number; band: Band; family: string } | null;
  pieces: Piece[];
  masks: (MaskOut | undefined)[];
}

export interface Run {
  id: number;
  request: Request;
  /** The first look at the whole photo, which nobody asked for in so many words. */
  first: boolean;
  /** The region that was asked about, so that it can be taken up again. */
  marks: readonly Mark[];
  /** Id of the concept that holds most of a box or drawing; a name for it, no more. */
  place: string | null;
  state: 'running' | 'done' | 'stopped' | 'failed' | 'refused';
  stage: Stage | null;
  stageFace: number;
  faces: FaceLive[];
  report: Report | null;
  /** The worker was replaced and the answer begins again. */
  restarted: boolean;
}

export function newRun(id: number, request: Request, asked: Pick<Run, 'first' | 'marks' | 'place'>, boxes: Box[]): Run {
  return { id, request, first: asked.first, marks: asked.marks, place: asked.place, state: 'running', stage: null, stageFace: 0, faces: boxes.map(emptyFace), report: null, restarted: false };
}

function emptyFace(box: Box | null): FaceLive {
  return { box, verdict: null, pieces: [], masks: [] };
}

export function applyEvent(run: Run, event: Exclude<EngineEvent, { type: 'trial' }> | { type: 'restart' }): Run {
  if (event.type === 'restart') {
    return { ...run, restarted: true, stage: null, faces: run.faces.map((face) => emptyFace(face.box)) };
  }
  if (event.type === 'stage') return { ...run, stage: event.stage, stageFace: event.face };
  const faces = [...run.faces];
  while (faces.length <= event.face) faces.push(emptyFace(null));
  faces[event.face] = applyToFace(faces[event.face]!, event);
  return { ...run, faces };
}

function applyToFace(face: FaceLive, event: Exclude<EngineEvent, { type: 'stage' | 'trial' }>): FaceLive {
  switch (event.type) {
    case 'verdict':
      return { ...face, verdict: { score: event.score, band: event.band, family: event.family } };
    case 'text':
      return { ...face, pieces: add(face.pieces, event.text, null) };
    case 'phrase':
      return { ...face, pieces: add(face.pieces, event.text, event.id) };
    case 'mask': {
      const masks = [...face.masks];
      masks[event.id] = event.mask;
      return { ...face, masks };
    }
  }
}

/** Text arrives in pieces of a token or so: a piece that belongs where the last one did joins it. */
function add(pieces: Piece[], text: string, mask: number | null): Piece[] {
  const last = pieces.at(-1);
  return last && last.mask === mask ? [...pieces.slice(0, -1), { text: last.text + text, mask }] : [...pieces, { text, mask }];
}

/** The report is the truth: streamed pieces give way to it. */
export function finish(run: Run, report: Report): Run {
  const told = report.faces.map((face) => ({
    box: face.box,
    verdict: { score: face.score, band: face.band, family: face.family },
    pieces: face.spans.length ? face.spans : face.answer ? [{ text: face.answer, mask: null }] : [],
    masks: face.masks,
  }));
  // A question about one face has one entry in its report; on the page it keeps its place among the photo's faces.
  const only = run.request.face;
  const faces = only !== undefined && told.length === 1 ? run.faces.map((face, i) => (i === only ? told[0]! : emptyFace(face.box))) : told;
  return { ...run, state: 'done', stage: null, report, faces };
}

/** A place in a run: which face, which mask. */
export interface MaskRef {
  run: number;
  face: number;
  mask: number;
}

export function sameRef(a: MaskRef | null, b: MaskRef | null): boolean {
  return a === b || (!!a && !!b && a.run === b.run && a.face === b.face && a.mask === b.mask);
}
