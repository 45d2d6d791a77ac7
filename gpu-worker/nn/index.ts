/** The public interface of layers, initialisers, optimisers and schedules. */
export { fanIn, filledWith, normal, ones, uniform, unitRows, zeros } from './initialisers.ts';
export { attention, embedding, layerNorm, linear } from './layers.ts';
export { adam, adamW, type Optimiser, sgd } from './optimisers.ts';
export { cosineRate, type Schedule, steadyRate, warmUp } from './schedules.ts';
