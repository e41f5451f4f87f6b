"""Pictures for readers without internet, and who draws them."""
