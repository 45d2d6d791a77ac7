export { openSparseProduct, type ProductWay, wayFor } from './product.ts';
export { layerTimes } from './timing.ts';
