/** Everything that is needed only when an answer is saved, loaded together with the model: nothing is fetched after that. */
export { coco, maskCanvas, maskPng } from './export-masks';
export { drawnAnew, pictureWithMarks } from './export-picture';
export { reportPage } from './report-page';
