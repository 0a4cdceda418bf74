/* SPDX-License-Identifier: Apache-2.0
 * The common cases over the node-local route. */
#include "local_route.h"

int main(void)
{
    return rpc_cases_run(&local_route);
}
