/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: the doctor lacks a rung, PLANT_RUNG; or, where that is "", a remedy. */
#include <string.h>

#include "agent/control/doctor.h"

void __real_doctor_add(struct doctor *doctor, const struct doctor_finding *finding);
void __wrap_doctor_add(struct doctor *doctor, const struct doctor_finding *finding);

void __wrap_doctor_add(struct doctor *doctor, const struct doctor_finding *finding)
{
    struct doctor_finding spoilt = *finding;
    if (strcmp(finding->rung, PLANT_RUNG) == 0)
        return;
    if (strcmp("", PLANT_RUNG) == 0 && strstr(finding->what, "AccessDenied") != NULL)
        spoilt.remedy = NULL;
    __real_doctor_add(doctor, &spoilt);
}
