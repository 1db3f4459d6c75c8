/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/can/can_linux.h"

#include <errno.h>
#include <linux/can/error.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/error.h"

static int open_socket(void)
{
    int fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
    return fd < 0 ? error_sys(errno) : fd;
}

static int get_interface(int fd, const char *name, int *ret_index, unsigned *ret_flags)
{
    struct ifreq request = {0};
    (void)strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        return error_sys(errno);
    int index = request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return error_sys(errno);
    *ret_index = index;
    *ret_flags = (unsigned short)request.ifr_flags;
    return 0;
}

int can_linux_interface(const char *name, int *ret_index, unsigned *ret_flags)
{
    int fd = open_socket();
    if (fd < 0)
        return fd;
    int rc = get_interface(fd, name, ret_index, ret_flags);
    (void)close(fd);
    return rc;
}

static int set(int fd, int level, int option, const void *value, size_t bytes)
{
    return setsockopt(fd, level, option, value, (socklen_t)bytes) < 0 ? error_sys(errno) : 0;
}

static int set_up(int fd, int index, const struct can_filter *filters, size_t count)
{
    const int on = 1;
    const can_err_mask_t errors = CAN_ERR_MASK;
    const struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = index};
    int rc = set(fd, SOL_CAN_RAW, CAN_RAW_FILTER, filters, count * sizeof *filters);
    if (rc == 0)
        rc = set(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &errors, sizeof errors);
    if (rc == 0)
        rc = set(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on);
    if (rc == 0)
        rc = set(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (rc == 0)
        rc = set(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (rc == 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        rc = error_sys(errno);
    return rc;
}

int can_linux_open(int index, const struct can_filter *filters, size_t count)
{
    int fd = open_socket();
    if (fd < 0)
        return fd;
    int rc = set_up(fd, index, filters, count);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static void read_control(struct msghdr *message, struct can_linux_frame *frame)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        struct timespec time;
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SO_TIMESTAMPNS && part->cmsg_len >= CMSG_LEN(sizeof time)) {
            memcpy(&time, CMSG_DATA(part), sizeof time);
            frame->wall_ns = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
        }
        if (part->cmsg_type == SO_RXQ_OVFL && part->cmsg_len >= CMSG_LEN(sizeof frame->dropped))
            memcpy(&frame->dropped, CMSG_DATA(part), sizeof frame->dropped);
    }
}

int can_linux_receive(int fd, struct can_linux_frame *ret_frame)
{
    struct can_linux_frame frame = {0};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)) + 64];
    } control;
    struct iovec data = {.iov_base = &frame.frame, .iov_len = sizeof frame.frame};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? E_AGAIN : error_sys(errno);
    if ((got != CAN_MTU && got != CANFD_MTU) ||
        frame.frame.len > (got == CAN_MTU ? CAN_MAX_DLEN : CANFD_MAX_DLEN))
        return E_SYNTAX;
    read_control(&message, &frame);
    *ret_frame = frame;
    return 0;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void can_linux_now(int64_t *ret_wall_ns, int64_t *ret_boot_ns)
{
    *ret_wall_ns = now_ns(CLOCK_REALTIME);
    *ret_boot_ns = now_ns(CLOCK_BOOTTIME);
}
