/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/shape.h"

void shape_get(const struct intake_transform *transform, const struct tag *tags, size_t tag_count,
               struct intake_shape *shape)
{
    if (transform != NULL) {
        transform->get_shape(transform->context, shape);
        return;
    }
    shape->tag_count = tag_count;
    for (size_t i = 0; i < tag_count; i++)
        shape->tags[i] = tags[i];
}

int shape_define(struct spool *spool, const char *device, const char *sensor,
                 const struct intake_shape *shape, size_t leaves, uint32_t *ret_number)
{
    const struct sensor_definition definition = {.device = device,
                                                 .name = sensor,
                                                 .channel_count = shape->channel_count,
                                                 .channels = shape->channels,
                                                 .tag_count = shape->tag_count,
                                                 .tags = shape->tags};
    return spool_define_sensor_within(spool, &definition, leaves, ret_number);
}
