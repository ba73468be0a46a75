export * from './types/facext.js';
