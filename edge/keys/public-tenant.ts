/** The reserved tenant whose published results every tenant can read; only the operator holds keys of it. */
export const PUBLIC_TENANT = 'public';
