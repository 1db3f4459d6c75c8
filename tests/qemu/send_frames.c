/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: send_frames INTERFACE
 *
 * Sends the CAN frames of standard input, one in a line: "123 0011aabb" (with an identifier of 29
 * bits as eight digits). A full queue is waited for.
 */
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* -1 if LINE is no frame. */
static int parse(const char *line, struct can_frame *ret_frame)
{
    char id[9], data[2 * CAN_MAX_DLEN + 1] = "";
    if (sscanf(line, "%8[0-9a-fA-F] %16[0-9a-fA-F]", id, data) < 1)
        return -1;
    *ret_frame = (struct can_frame){.can_id = (canid_t)strtoul(id, NULL, 16)};
    if (strlen(id) == 8)
        ret_frame->can_id |= CAN_EFF_FLAG;
    while (data[2 * ret_frame->can_dlc] != '\0') {
        unsigned byte;
        if (sscanf(data + 2 * ret_frame->can_dlc, "%2x", &byte) != 1)
            return -1;
        ret_frame->data[ret_frame->can_dlc++] = (unsigned char)byte;
    }
    return 0;
}

static int open_interface(const char *name)
{
    struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = (int)if_nametoindex(name)};
    int fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);
    if (fd < 0 || address.can_ifindex == 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc != 2)
        return 2;
    int fd = open_interface(argv[1]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct can_frame frame;
        if (parse(line, &frame) != 0) {
            fprintf(stderr, "send_frames: no frame: %s", line);
            return 2;
        }
        while (write(fd, &frame, sizeof frame) != (ssize_t)sizeof frame) {
            if (errno != ENOBUFS) {
                perror(argv[1]);
                return 1;
            }
            (void)usleep(1000);
        }
    }
    return 0;
}
