/*
 * A peer that speaks SCTP, for tests: no usual program does.
 *
 *   sctp serve PORT            answers each message of each association with its own address, a colon and the message
 *   sctp ask ADDRESS PORT TEXT sends it, and prints the answer
 *
 * Built statically, so that it runs in a container that has nothing else. Gives up after ten seconds of silence.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int serve(struct sockaddr_in at)
{
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 8))
		return failed("serve");
	for (;;) {
		char text[256], answer[320], address[INET_ADDRSTRLEN];
		struct sockaddr_in own;
		socklen_t size = sizeof own;
		int peer = accept(listener, NULL, NULL);
		if (peer < 0)
			return failed("accept");
		ssize_t length = recv(peer, text, sizeof text - 1, 0);
		if (length > 0 && !getsockname(peer, (struct sockaddr *)&own, &size)) {
			text[length] = 0;
			inet_ntop(AF_INET, &own.sin_addr, address, sizeof address);
			snprintf(answer, sizeof answer, "%s:%s", address, text);
			send(peer, answer, strlen(answer), MSG_NOSIGNAL);
		}
		close(peer);
	}
}

static int ask(struct sockaddr_in whom, const char *text)
{
	char answer[512];
	struct timeval patience = { .tv_sec = 10 };
	int peer = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (peer < 0)
		return failed("socket");
	setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(peer, (struct sockaddr *)&whom, sizeof whom))
		return failed("connect");
	if (send(peer, text, strlen(text), MSG_NOSIGNAL) < 0)
		return failed("send");
	ssize_t length = recv(peer, answer, sizeof answer - 1, 0);
	if (length <= 0)
		return failed("recv");
	answer[length] = 0;
	puts(answer);
	return 0;
}

int main(int count, char **words)
{
	struct sockaddr_in place = { .sin_family = AF_INET };
	if (count == 3 && !strcmp(words[1], "serve")) {
		place.sin_port = htons(atoi(words[2]));
		return serve(place);
	}
	if (count == 5 && !strcmp(words[1], "ask") && inet_pton(AF_INET, words[2], &place.sin_addr) == 1) {
		place.sin_port = htons(atoi(words[3]));
		return ask(place, words[4]);
	}
	fprintf(stderr, "usage: sctp serve PORT | sctp ask ADDRESS PORT TEXT\n");
	return 2;
}
