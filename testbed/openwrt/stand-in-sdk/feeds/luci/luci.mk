# A stand-in of the luci feed's: see ../../rules.mk. As that one installs: htdocs to /www, root to /.

all:
	$(INSTALL_DIR) $(DEST)/www
	$(CP) htdocs/. $(DEST)/www/
	$(CP) root/. $(DEST)/
