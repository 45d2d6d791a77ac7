/** The public interface of layers, initialisers, optimisers and schedules. */
export { fanIn, filledWith, glorot, normal, ones, uniform, unitRows, zeros } from './initialisers.ts';
export { attention, embedding, layerNorm, linear, rmsNorm } from './layers.ts';
export { adam, adamW, type Optimiser, sgd } from './optimisers.ts';
export { constantRate, cosineRate, linearRate, type Schedule, stepRate, warmUp } from './schedules.ts';
