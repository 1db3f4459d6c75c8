/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: clock_good
 *
 * Tells the kernel that its clock is synchronised, as a daemon does that speaks NTP (adjtimex(2)).
 */
#include <stdio.h>
#include <sys/timex.h>

int main(void)
{
    struct timex state = {.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR, .status = STA_PLL};
    if (adjtimex(&state) >= 0)
        return 0;
    perror("clock_good");
    return 1;
}
