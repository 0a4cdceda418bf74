/* SPDX-License-Identifier: Apache-2.0
 * The one converter from PMIx status to errno. Private to this component. */
#ifndef BENCHFS_PMIX_PMIX_STATUS_H
#define BENCHFS_PMIX_PMIX_STATUS_H

/* `status` is a pmix_status_t. Returns 0 or -errno. */
int pmix_status_to_errno(int status);

#endif
