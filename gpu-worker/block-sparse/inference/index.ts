export { openSparseProduct, PRODUCT_WAYS, type ProductWay } from './product.ts';
export { layerTimes } from './timing.ts';
